# segc: `make help` lists what there is to make. Every target runs from a fresh checkout of Debian 12;
# `test`, `demo` and the like first install the packages they need, by apt-get, where one is missing.
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
LIBS        = $(LLVM_LIBS) -lopenblas -lyaml $(IMAGE_LIBS) -lm -lpthread

RUNTIME  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard runtime/*.c))
# The command line; all else is the library that tests link too.
COMMANDS := compiler/main.c compiler/command.c compiler/bench.c compiler/bench_text.c
COMPILER := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(COMMANDS),$(wildcard compiler/*.c)) $(wildcard codegen/*.c))
TESTS    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/*.c tests/table/*.c))

# Debian packages: to build, to test.
BUILD_PACKAGES := gcc libc6-dev pkg-config llvm-19-dev libopenblas-dev libyaml-dev libpng-dev libjpeg62-turbo-dev zlib1g-dev
TEST_PACKAGES  := $(BUILD_PACKAGES) check python3 python3-yaml python3-jsonschema

# The recipes below call make again once the packages are there: what it asks pkg-config and llvm-config exists then.
AGAIN = $(MAKE) --no-print-directory -j$$(nproc)

all: $(BUILD)/segc ## the compiler, build/segc, and the runtime library, build/libsegrt.a

test: ## install what is missing, build, and run every test
	@tests/packages.sh $(TEST_PACKAGES)
	@start=$$(date +%s); $(AGAIN) $(BUILD)/segc $(BUILD)/tests/run && echo "built in $$(($$(date +%s) - start)) s"
	@tests/run.sh $(BUILD)

clean: ## remove what was built, but for the environment of bench-peers
	rm -rf $(filter-out build/peers-venv,$(wildcard build/*))

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

# What a program links: the runtime, and the static image libraries in one archive. A shared library takes the system's image
# libraries instead: Debian's static ones are not position independent.
$(BUILD)/libsegrt.a: $(RUNTIME)
	ar rcs $@.tmp $(RUNTIME) && mv $@.tmp $@

$(BUILD)/libsegrt_images.a:
	@mkdir -p $(@D)
	@printf 'create %s\n' $@.tmp > $@.mri
	@for l in png16 jpeg z; do printf 'addlib %s\n' $$($(CC) -print-file-name=lib$$l.a); done >> $@.mri
	@printf 'save\nend\n' >> $@.mri
	ar -M < $@.mri
	@mv $@.tmp $@ && rm -f $@.mri

$(BUILD)/segc: $(COMMANDS:%.c=$(BUILD)/%.o) $(COMPILER) $(RUNTIME) $(BUILD)/libsegrt.a $(BUILD)/libsegrt_images.a
	$(CC) $(OPT) $(CFLAGS) -o $@ $(filter %.o,$^) $(LIBS)

$(BUILD)/tests/run: $(TESTS) $(COMPILER) $(RUNTIME)
	$(CC) $(OPT) $(CFLAGS) -o $@ $(filter %.o,$^) $(shell pkg-config --libs check) $(LIBS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(FLAGS) $(EXTRA) -c -o $@ $<

$(BUILD)/runtime/%.o: EXTRA = -fPIC
$(BUILD)/codegen/cpu_%.o: EXTRA = $(LLVM_FLAGS)
$(BUILD)/tests/%.o: EXTRA = -Itests/table -Itests/unit $(shell pkg-config --cflags check)

# Other flags than last time make everything anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(FLAGS)' | cmp -s - $@ || echo '$(CC) $(FLAGS)' > $@
FORCE:

-include $(shell find $(BUILD)/compiler $(BUILD)/codegen $(BUILD)/runtime $(BUILD)/tests -name '*.d' 2>/dev/null)

.PHONY: all test clean help FORCE
