/* Runs the suites of suites.def, or only those named as arguments, from the repository root.
 *
 *     build/tests/run [NAME...]     CK_FORK=no keeps a test in this process, for a debugger
 *
 * Check prints a line for each failure and the closing summary. Exit status: 0 all passed, 1 not, 2 no such
 * suite.
 */
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SUITE(name) Suite *name##_suite(void);
#include "suites.def"
#undef SUITE

static const struct {
    const char *name;
    Suite *(*make)(void);
} suites[] = {
#define SUITE(name) {#name, name##_suite},
#include "suites.def"
#undef SUITE
};
enum { N_SUITES = sizeof suites / sizeof *suites };

static bool is_named(const char *suite, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], suite)) return true;
    return argc == 1;
}

/* Whether every argument is the name of a suite; says which are not. */
static bool are_known(int argc, char **argv)
{
    bool good = true;
    for (int i = 1; i < argc; i++) {
        int k = 0;
        while (k < N_SUITES && strcmp(suites[k].name, argv[i]) != 0) k++;
        if (k < N_SUITES) continue;
        fprintf(stderr, "no suite '%s' in tests/unit/suites.def\n", argv[i]);
        good = false;
    }
    return good;
}

int main(int argc, char **argv)
{
    if (!are_known(argc, argv)) return 2;
    SRunner *runner = srunner_create(NULL);
    for (int i = 0; i < N_SUITES; i++)
        if (is_named(suites[i].name, argc, argv)) srunner_add_suite(runner, suites[i].make());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
