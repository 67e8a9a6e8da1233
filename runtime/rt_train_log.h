/* A run's log: one JSON object per line, appended as training goes on, for people, scripts and reports.
 *
 *   {"event": "start", "iteration": 0, "program": …, "seed": …, "iterations": …, "data": {STREAM: SPEC}, …}
 *   {"event": "step", "iteration": 20, "terms": {NAME: value}, "lr": {PLAYER: rate},
 *    "tunables": {NAME: value}, "seconds": …, "images_per_second": …, "loader_wait": …}
 *   {"event": "validation", "iteration": 100, "miou": 0.31, "classes_counted": 19, "pixel_accuracy": …,
 *    "best": true, "iou": {CLASS: 0.9 or null}, "seconds_per_image": …}
 *   {"event": "warning", "iteration": 200, "text": …}
 *   {"event": "resume", "iteration": 50, …}, {"event": "end", "iteration": 100, "reason": "done"}
 *
 * "event" and "iteration" come first in every line. Terms are of that step, not means over steps: for equal
 * runs they are equal to the last digit, whatever the threads; what is measured by the clock stands last in
 * its line. Values are float, written with nine digits so that they read back the same; a value that is not
 * finite is null.
 *
 * Functions begin and end a line; in between the caller writes members by json_out_… on log->json.
 */
#ifndef RT_TRAIN_LOG_H
#define RT_TRAIN_LOG_H

#include "rt_json_out.h"
#include "rt_status.h"

typedef struct TrainLog {
    const char *path; /* the caller's; must outlive the log */
    FILE *out;
    JsonOut json; /* of the line that is being written */
} TrainLog;

/* Opens or makes it, to go on after iteration `after`: lines of later ones, and a last one that is not whole,
 * are cut off; -1: all are. RT_BAD_INPUT when it cannot be written there, or another process has it open so.
 */
RtStatus train_log_open(TrainLog *log, const char *path, int64_t after, RtError *err);
void train_log_begin(TrainLog *log, const char *event, int64_t iteration);
/* Ends the line and hands it to the system. RT_MACHINE when it could not be written. */
RtStatus train_log_end(TrainLog *log, RtError *err);
/* Harmless for a log that is not open, and twice. */
void train_log_close(TrainLog *log);

#endif
