/* The HTML of rt_study_page.h, from top to bottom. */
#include "rt_study_page.h"

#include "rt_program.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Parts, because a string literal of more than 4095 characters is none of C11's. */
static const char *const style[] = {
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1b1f24;--soft:#5c6670;--rule:#dfe3e8;--band:#f6f8fa;"
    "--heat:31,119,180;--good:#0b6bb8;"
    "--k0:#0072b2;--k1:#d55e00;--k2:#009e73;--k3:#b8428c;--k4:#6b4fa0;--k5:#8a6116;--k6:#dd9a00;--k7:#4aa8de;"
    "--k8:#555b61;--k9:#7a9400}\n"
    "@media(prefers-color-scheme:dark){:root{--paper:#14171a;--ink:#e4e8ec;--soft:#98a2ac;--rule:#30363d;"
    "--band:#1b1f24;--heat:88,166,235;--good:#7cc4ff;"
    "--k0:#58a8e8;--k1:#ff8b48;--k2:#36c799;--k3:#ee86c2;--k4:#b59bf0;--k5:#cda262;--k6:#ffcb52;--k7:#97d7ff;"
    "--k8:#b4bac0;--k9:#b8cc44}}\n",
    "*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);"
    "font:14px/1.5 system-ui,-apple-system,\"Segoe UI\",\"Helvetica Neue\",\"Noto Sans\",\"Liberation "
    "Sans\",Arial,"
    "sans-serif}\n"
    "main{max-width:1340px;margin:0 auto;padding:36px 32px 60px}\n"
    "h1{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}"
    "h2{font-size:19px;margin:44px 0 10px;letter-spacing:-.005em}\n"
    "p{margin:6px 0;max-width:125ch}.soft,figcaption{color:var(--soft);font-size:13px}"
    "code,.folder{font-family:ui-monospace,\"SF Mono\",Menlo,Consolas,\"Liberation "
    "Mono\",monospace;font-size:.87em}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;width:100%;"
    "border-top:2px solid var(--ink);border-bottom:2px solid var(--ink)}\n"
    "th,td{padding:5px 8px;text-align:right;white-space:nowrap;vertical-align:baseline;font-weight:400}"
    "thead th{vertical-align:bottom;font-size:13px;font-weight:600;border-bottom:1px solid var(--ink)}"
    "thead small{display:block;font-weight:400;color:var(--soft)}\n"
    "th:first-child,td:first-child{text-align:left;padding-left:6px}td.text{text-align:left}"
    "tr.group td,tr.group th{border-top:1px solid var(--rule)}"
    "tbody tr.group:first-child td,tbody tr.group:first-child th{border-top:0}"
    "tr.group th{font-weight:600}tr.run "
    "td{color:var(--soft);font-size:13px;padding-top:1px;padding-bottom:3px}"
    "tr.run td:first-child{padding-left:25px}\n",
    ".dev{color:var(--soft);font-size:.87em}.best{font-weight:700;color:var(--good)}.best "
    ".dev{font-weight:400}"
    ".key{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:9px}.key.again{border:"
    "3px solid;background:none}"
    "td.num{padding-right:0}td.pm{padding-left:5px;text-align:left}"
    "thead th[colspan]{padding-right:0;text-align:center}th "
    ".folder{display:block;margin-left:19px;font-weight:400;color:var(--soft);line-height:1.3}\n"
    "table.classes th,table.classes td{padding:4px 5px;text-align:center}table.classes{width:auto}"
    "table.classes th:first-child,table.classes td:first-child{text-align:left;padding-right:20px}"
    "table.classes td{min-width:40px}"
    "table.classes tr.run td{padding-top:1px;padding-bottom:2px}table.classes tr.run "
    "td:first-child{padding-left:25px}"
    "table.classes thead th{height:112px;padding-top:8px;position:relative;min-width:42px}"
    "table.classes thead div{writing-mode:vertical-rl;transform:rotate(180deg);margin:0 auto;text-align:left}"
    "table.classes thead i{display:block;width:22px;height:8px;border-radius:2px;margin:5px auto 2px}"
    ".heat{background:rgba(var(--heat),calc(var(--v)*.5))}.heat "
    ".dev{display:block;line-height:1.1;font-size:11px}\n",
    ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(560px,100%),1fr));gap:26px 36px}"
    ".chart{width:100%;height:auto;display:block;fill:var(--soft);font-size:12px;font-variant-numeric:"
    "tabular-nums}"
    ".chart .title{font-size:15px;font-weight:600;fill:var(--ink)}.chart .of{font-size:12px;font-weight:400;"
    "fill:var(--soft)}.chart .power{font-size:9px}\n"
    ".grid{stroke:var(--rule)}.axis{stroke:var(--soft)}.chart path{fill:none;stroke-linejoin:round;"
    "stroke-linecap:round}.thin{stroke-width:1;opacity:var(--thin)}.thick{stroke-width:2.1}"
    ".chart .dashed{stroke-dasharray:5 4}.chart .dot{stroke:var(--paper);stroke-width:1}\n"
    ".k0{stroke:var(--k0);fill:var(--k0)}.k1{stroke:var(--k1);fill:var(--k1)}.k2{stroke:var(--k2);fill:var(--"
    "k2)}"
    ".k3{stroke:var(--k3);fill:var(--k3)}.k4{stroke:var(--k4);fill:var(--k4)}.k5{stroke:var(--k5);fill:var(--"
    "k5)}"
    ".k6{stroke:var(--k6);fill:var(--k6)}.k7{stroke:var(--k7);fill:var(--k7)}.k8{stroke:var(--k8);fill:var(--"
    "k8)}"
    ".k9{stroke:var(--k9);fill:var(--k9)}\n",
    ".legend{display:flex;flex-wrap:wrap;gap:4px 18px;margin:12px 0 "
    "16px;font-size:13px;padding:0;list-style:none}"
    ".legend "
    "i{display:inline-block;width:22px;height:13px;border-radius:2px;margin-right:7px;vertical-align:-1px;"
    "border:1px solid var(--rule)}\n"
    ".panel{display:grid;gap:6px;align-items:center}.panel "
    ".name{font-size:13px;line-height:1.35;padding-right:10px;"
    "overflow-wrap:anywhere}.panel .name b{display:block}.panel img{width:100%;height:auto;display:block;"
    "border-radius:2px}.panel .why{grid-column:2/-1;color:var(--soft);font-size:13px;padding:12px;"
    "background:var(--band);border-radius:3px}.panel .picture{font-size:12px;color:var(--soft);"
    "overflow-wrap:anywhere}\n"
    "table.runs td{text-align:left;vertical-align:top;white-space:normal;font-size:13px;border-top:1px solid "
    "var(--rule)}"
    "table.runs th{text-align:left}table.runs ul{margin:0;padding-left:16px}"
    "@media(max-width:700px){main{padding:20px 14px}}\n"
    "@media print{main{max-width:none;padding:0}h2{break-after:avoid}.chart,tr{break-inside:avoid}}\n",
};

static void head(const StudyPage *page, TextOut *out)
{
    text_out(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                  "<title>Training report: ");
    text_out_html(out, page->study->groups[0].name);
    if (page->study->group_count > 1) text_out(out, " and %zu more", page->study->group_count - 1);
    text_out(out, "</title>\n<style>\n");
    for (size_t i = 0; i < sizeof style / sizeof *style; i++) text_out(out, "%s", style[i]);
    text_out(out, "</style></head>\n<body><main>\n");
}

/* "6 runs of 3 experiments", and what they were validated on when it is the same for all. */
static void introduction(const Study *study, TextOut *out)
{
    text_out(out, "<h1>Training report</h1>\n<p class=\"soft\">%zu run%s of %zu experiment%s",
             study->run_count, study->run_count > 1 ? "s" : "", study->group_count,
             study->group_count > 1 ? "s" : "");
    if (!study->same_validation && study->class_count) {
        text_out(out, ", not all validated on the same set: their mIoU are not to be compared");
    } else if (*study->runs[0].log.validation) {
        text_out(out, ", validated on <code>");
        text_out_html(out, study->runs[0].log.validation);
        text_out(out, "</code>");
    }
    text_out(out, "</p>\n");
}

/* ---- pictures ---- */

static void picture(const RtEncoded *encoded, const StudyPicture *of, const char *what, TextOut *out)
{
    text_out(out, "<img width=\"%d\" height=\"%d\" alt=\"", of->width, of->height);
    text_out_html(out, what);
    text_out(out, " of ");
    text_out_html(out, of->name);
    text_out(out, "\" src=\"data:image/png;base64,");
    text_out_base64(out, encoded->data, encoded->size);
    text_out(out, "\">\n");
}

static void color_legend(const StudyPanel *panel, TextOut *out)
{
    const ProgramHeader *header = panel->header;
    text_out(out, "<ul class=\"legend\">\n");
    for (uint32_t c = 0; c < header->classes.count; c++) {
        const ProgramClass *class = &program_classes(header)[c];
        text_out(out, "<li><i style=\"background:#%02x%02x%02x\"></i>", class->color[0], class->color[1],
                 class->color[2]);
        text_out_html(out, program_text(header, class->name));
        text_out(out, "</li>\n");
    }
    if (header->classes.count) text_out(out, "<li><i style=\"background:#000\"></i>not counted</li>\n");
    text_out(out, "</ul>\n");
}

static void panel_truths(const StudyPanel *panel, TextOut *out)
{
    bool any = false;
    for (size_t i = 0; i < panel->count; i++) any = any || panel->pictures[i].truth.size;
    if (!any) return;
    text_out(out, "<div class=\"name\"><b>truth</b></div>\n");
    for (size_t i = 0; i < panel->count; i++)
        picture(&panel->pictures[i].truth, &panel->pictures[i], "truth", out);
}

static void panel_run(const StudyPage *page, const StudyRun *run, TextOut *out)
{
    const StudyPanel *panel = page->panel;
    text_out(out, "<div class=\"name\"><b>");
    text_out_html(out, page->study->groups[run->group].name);
    text_out(out, "</b>");
    study_page_folder(run, out);
    text_out(out, "</div>\n");
    if (!run->pictures) {
        text_out(out, "<div class=\"why\">");
        text_out_html(out, run->why_not);
        text_out(out, "</div>\n");
        return;
    }
    for (size_t i = 0; i < panel->count; i++)
        picture(&run->pictures[i], &panel->pictures[i], run->log.folder, out);
}

static void predictions(const StudyPage *page, TextOut *out)
{
    const StudyPanel *panel = page->panel;
    text_out(out, "<h2>Predictions</h2>\n");
    if (!panel->count) {
        text_out(out, "<p class=\"soft\">No pictures: ");
        text_out_html(out, page->no_pictures);
        text_out(out, "</p>\n");
        return;
    }
    text_out(out, "<p class=\"soft\">%zu pictures, spread evenly over <code>", panel->count);
    text_out_html(out, panel->spec);
    text_out(out, "</code>; each run with its best weights (its last, if nothing was validated).</p>\n");
    color_legend(panel, out);
    text_out(out,
             "<div class=\"panel\" style=\"grid-template-columns:minmax(110px,170px) "
             "repeat(%zu,minmax(0,1fr))\">\n",
             panel->count);
    text_out(out, "<div class=\"name\"><b>image</b></div>\n");
    for (size_t i = 0; i < panel->count; i++)
        picture(&panel->pictures[i].shown, &panel->pictures[i], "image", out);
    panel_truths(panel, out);
    for (size_t i = 0; i < page->study->run_count; i++) panel_run(page, &page->study->runs[i], out);
    text_out(out, "<div></div>\n");
    for (size_t i = 0; i < panel->count; i++) {
        text_out(out, "<div class=\"picture\">");
        text_out_html(out, panel->pictures[i].name);
        text_out(out, "</div>\n");
    }
    text_out(out, "</div>\n");
}

/* ---- settings ---- */

static void run_data(const RunLog *log, TextOut *out)
{
    for (size_t i = 0; i < log->data.count; i++) {
        text_out_html(out, log->data.items[i].name);
        text_out(out, ": <code>");
        text_out_html(out, log->data.items[i].value);
        text_out(out, "</code><br>");
    }
    text_out(out, "validation: <code>");
    text_out_html(out, *log->validation ? log->validation : "none");
    text_out(out, "</code>");
    if (*log->weights) {
        text_out(out, "<br>begun from <code>");
        text_out_html(out, log->weights);
        text_out(out, "</code>");
    }
}

static void run_settings(const RunLog *log, TextOut *out)
{
    text_out(out, "seed %lld", (long long)log->seed);
    if (!isnan(log->batch)) text_out(out, "<br>batch %.0f", log->batch);
    if (log->accumulate > 1) text_out(out, " \xc3\x97 %.0f", log->accumulate);
    if (!isnan(log->height)) text_out(out, " at %.0f\xc3\x97%.0f", log->height, log->width);
    if (!isnan(log->threads)) text_out(out, "<br>%.0f threads", log->threads);
    for (size_t i = 0; i < log->tunables.count; i++) {
        text_out(out, "<br>");
        text_out_html(out, log->tunables.items[i].name);
        text_out(out, " = %g", log->tunables.items[i].series.points[0].y);
    }
}

static void run_course(const RunLog *log, TextOut *out)
{
    text_out(out, "%s", log->end ? "" : "not ended (still running, or killed)");
    text_out_html(out, log->end ? log->end : "");
    text_out(out, ", %lld", (long long)log->iteration);
    if (!isnan(log->iterations)) text_out(out, " of %.0f", log->iterations);
    text_out(out, " iterations");
    if (log->best.iteration) text_out(out, "<br>best after %lld", (long long)log->best.iteration);
    if (!log->last.iteration) text_out(out, "<br>never validated");
    if (!log->note_count) return;
    text_out(out, "<ul>");
    for (size_t i = 0; i < log->note_count; i++) {
        text_out(out, "<li>");
        text_out_html(out, log->notes[i]);
        text_out(out, "</li>");
    }
    text_out(out, "</ul>");
}

static void settings(const Study *study, TextOut *out)
{
    text_out(out,
             "<h2>Runs</h2>\n<div class=\"wide\"><table class=\"runs\">\n<thead><tr><th>run</th><th>data</th>"
             "<th>settings</th><th>course</th></tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < study->run_count; i++) {
        const RunLog *log = &study->runs[i].log;
        text_out(out, "<tr><td><b>");
        text_out_html(out, log->program);
        text_out(out, "</b><br>");
        study_page_folder(&study->runs[i], out);
        text_out(out, "</td><td>");
        run_data(log, out);
        text_out(out, "</td><td>");
        run_settings(log, out);
        text_out(out, "</td><td>");
        run_course(log, out);
        text_out(out, "</td></tr>\n");
    }
    text_out(out, "</tbody></table></div>\n");
}

void study_page(const StudyPage *page, TextOut *out)
{
    head(page, out);
    introduction(page->study, out);
    study_page_tables(page, out);
    text_out(
        out,
        "<h2>Curves</h2>\n<p class=\"soft\">Thin: each run as logged. Thick: the mean over seeds where all "
        "have a value; losses smoothed over a twentieth of the run. Peaks of thin lines far outside the "
        "thick ones\xe2\x80\x99 range are cut off; where curves coincide, the last one named is on "
        "top.</p>\n");
    study_page_charts(page->study, out);
    predictions(page, out);
    settings(page->study, out);
    text_out(out, "</main></body></html>\n");
}
