/* `segc data check|convert SPEC --data FILE`: see data_check.h and data_convert.h. */
#ifndef DATA_COMMAND_H
#define DATA_COMMAND_H

#include "command.h"

/* c->rest: "check" or "convert", and what follows it. */
int command_data(Command *c);

#endif
