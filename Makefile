# segc. `make help` lists what there is to make.
CC      ?= cc
PREFIX  ?= /usr/local
BUILD   ?= build
LLVM    ?= llvm-config-19

WARN    := -Wall -Wextra -Wpedantic -Werror
OPT     ?= -O2 -g
CFLAGS  ?=
FLAGS   := -std=c11 $(WARN) $(OPT) -fno-math-errno -ffp-contract=off -Icompiler -Icodegen -Iruntime -MMD -MP $(CFLAGS)
LLVM_FLAGS  = -isystem $(shell $(LLVM) --includedir)
LLVM_LIBS   = $(shell $(LLVM) --ldflags) -lLLVM-19
IMAGE_LIBS  := -lpng -ljpeg -lz
LIBS        = $(LLVM_LIBS) -lyaml $(IMAGE_LIBS) -lm -lpthread

RUNTIME  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard runtime/*.c))
COMPILER := $(patsubst %.c,$(BUILD)/%.o,$(filter-out compiler/main.c compiler/command.c,$(wildcard compiler/*.c)) $(wildcard codegen/*.c))
TESTS    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/*.c tests/table/*.c))

all: $(BUILD)/segc ## the compiler, build/segc, and the runtime library, build/libsegrt.a

# What a program links: the runtime and the static image libraries, in one archive.
$(BUILD)/libsegrt.a: $(RUNTIME)
	@printf 'create %s\n' $@.tmp > $@.mri
	@for o in $(RUNTIME); do printf 'addmod %s\n' $$o; done >> $@.mri
	@for l in png16 jpeg z; do printf 'addlib %s\n' $$($(CC) -print-file-name=lib$$l.a); done >> $@.mri
	@printf 'save\nend\n' >> $@.mri
	ar -M < $@.mri
	@mv $@.tmp $@ && rm -f $@.mri

$(BUILD)/segc: $(BUILD)/compiler/main.o $(BUILD)/compiler/command.o $(COMPILER) $(RUNTIME) $(BUILD)/libsegrt.a
	$(CC) $(OPT) $(CFLAGS) -o $@ $(filter %.o,$^) $(LIBS)

$(BUILD)/tests/run: $(TESTS) $(COMPILER) $(RUNTIME)
	$(CC) $(OPT) $(CFLAGS) -o $@ $^ $(shell pkg-config --libs check) $(LIBS)

$(BUILD)/codegen/cpu_%.o: FLAGS += $(LLVM_FLAGS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(FLAGS) -c -o $@ $<

$(BUILD)/tests/%.o: FLAGS += -Itests/table -Itests/unit $(shell pkg-config --cflags check)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

.PHONY: all
