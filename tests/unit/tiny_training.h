/* A training program made by hand around the tiny one (tiny_program.h): two streams, two players.
 *
 * `model` fits the scores of source.image, a linear function of each pixel, to its labels by squared error
 * (255 is not counted), with SGD and momentum; `critic` follows the mean of target.image with its only
 * weight.
 *
 *     TinyTraining training = {.batch = 2, .height = 4, .width = 6, .classes = 3};
 *     tiny_training_build(&training);
 *     ... training.predict.program, whose .training is set ...
 *     tiny_training_free(&training);
 *
 * Tensors: inputs source.image, source.label, target.image; parameters head.weight (in blocks of 2 channels),
 * head.bias, critic.weight f32[1], norm.running_mean and norm.running_var f32[3] (of target.image, momentum
 * 0.25); states model.head.weight.momentum (in blocks) and model.head.bias.momentum; outputs fit, scaled (fit
 * times the tunable `scale`, which model minimises) and follow. The critic begins at iteration `critic_from`.
 * The program that predicts has head.weight and head.bias only. Not a number: a target picture whose first
 * value is above `poison` makes fit NaN.
 */
#ifndef TINY_TRAINING_H
#define TINY_TRAINING_H

#include "tiny_program.h"

typedef struct TinyTraining {
    int64_t batch, height, width, classes;
    int64_t iterations, accumulate, critic_from;
    float poison;         /* 0: never */
    bool norm_in_predict; /* the program that predicts has the running statistics too */
    const char *name;     /* NULL: "tiny" */
    TinyProgram predict, train;
} TinyTraining;

void tiny_training_build(TinyTraining *training);
void tiny_training_free(TinyTraining *training);

#endif
