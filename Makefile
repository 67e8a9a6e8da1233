# segc: `make help` lists what there is to make. Every target runs from a fresh checkout of Debian 12;
# `test`, `demo` and the like first install the packages they need, by apt-get, where one is missing.
CC      ?= cc
PREFIX  ?= /usr/local
BUILD   ?= build
LLVM    ?= llvm-config-19
# V=1 shows whole commands; otherwise a line for each file that is made.
Q       := $(if $(V),,@)
MADE    = @$(if $(V),:,echo $@)

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
COMMANDS := compiler/main.c compiler/command.c compiler/bench.c compiler/bench_text.c compiler/data_command.c \
            compiler/gradcheck.c compiler/gradcheck_run.c compiler/gradcheck_text.c
COMPILER := $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(COMMANDS),$(wildcard compiler/*.c)) $(wildcard codegen/*.c))
TESTS    := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/*.c tests/table/*.c))

FUZZERS  := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*.c))
C_FILES  := $(wildcard $(foreach folder,compiler codegen runtime tests/unit tests/table tests/fuzz tests/whole,$(folder)/*.[ch]))

# Debian packages: to build, to test, and so on.
BUILD_PACKAGES := gcc libc6-dev pkg-config llvm-19-dev libopenblas-dev libyaml-dev libpng-dev libjpeg62-turbo-dev zlib1g-dev
TEST_PACKAGES  := $(BUILD_PACKAGES) g++ check python3 python3-yaml python3-jsonschema
LINT_PACKAGES  := $(BUILD_PACKAGES) check clang-format clang-tidy shellcheck
FUZZ_PACKAGES  := $(BUILD_PACKAGES) check clang libclang-rt-dev llvm
PEER_PACKAGES  := $(BUILD_PACKAGES) g++ python3-dev python3-venv

# Once the packages are there, make is called again: what it asks pkg-config and llvm-config has an answer then.
AGAIN = $(MAKE) --no-print-directory -j$$(nproc)

# Programs that a sanitized segc links contain its sanitized runtime, so the linker it calls is this one.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
SANITIZE_LINK := $(SANITIZE) -static-libasan -static-libubsan -static-libgcc
FUZZ_SECONDS ?= 60

all: $(BUILD)/segc ## the compiler, build/segc, and the runtime library, build/libsegrt.a

demo: ## install what is missing, build, segment street images, adapt to another camera: pictures and tables
	@tests/packages.sh $(BUILD_PACKAGES)
	@$(AGAIN) all
	@examples/demo/run.sh $(BUILD)

test: ## install what is missing, build, and run every test
	@tests/packages.sh $(TEST_PACKAGES)
	@start=$$(date +%s); $(AGAIN) all $(BUILD)/tests/run && echo "built in $$(($$(date +%s) - start)) s"
	@$(AGAIN) run-tests

run-tests: all $(BUILD)/tests/run
	@tests/run.sh $(BUILD)

sanitize: ## every test under the address and undefined-behaviour sanitizers; threads under the thread sanitizer
	@tests/packages.sh $(TEST_PACKAGES)
	@mkdir -p build/sanitize
	@for cc in gcc g++; do printf '#!/bin/sh\nexec %s $(SANITIZE_LINK) "$$@"\n' $$cc > build/sanitize/$$cc; done
	@chmod +x build/sanitize/gcc build/sanitize/g++
	@CC=$(CURDIR)/build/sanitize/gcc CXX=$(CURDIR)/build/sanitize/g++ LSAN_OPTIONS=suppressions=tests/lsan.supp \
	    $(AGAIN) run-tests BUILD=build/sanitize OPT='-O1 -g' CFLAGS='$(SANITIZE)'
	@$(AGAIN) build/tsan/tests/run CC=gcc BUILD=build/tsan OPT='-O1 -g' CFLAGS=-fsanitize=thread
	build/tsan/tests/run pool session verbs loader train

golden: ## write every expected text anew from what comes out now; read the difference before keeping it
	@tests/packages.sh $(TEST_PACKAGES)
	@$(AGAIN) all $(BUILD)/tests/run
	SEGC_GOLDEN=rewrite $(BUILD)/tests/run
	SEGC=$(BUILD)/segc tests/text/run.sh --rewrite
	python3 tests/peers/check_schema.py --write

fuzz: ## run each fuzzer for FUZZ_SECONDS (60)
	@tests/packages.sh $(FUZZ_PACKAGES)
	@$(AGAIN) fuzzers CC=clang BUILD=build/fuzz OPT='-O1 -g' CFLAGS='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all'
	@tests/fuzz/run.sh build/fuzz/tests/fuzz $(FUZZ_SECONDS)

fuzzers: $(FUZZERS)

lint: ## format, clang-tidy, the directions of includes, shell scripts
	@tests/packages.sh $(LINT_PACKAGES)
	@echo clang-format
	@clang-format --dry-run -Werror $(C_FILES)
	tests/include_directions.sh
	shellcheck -x .ci/run tests/whole/steps $$(find tests bench examples -name '*.sh')
	@echo 'clang-tidy (minutes)'
	@printf '%s\n' $(filter %.c,$(C_FILES)) | xargs -P $$(nproc) -n 1 sh -c 'clang-tidy --quiet "$$@" -- \
	    $(FLAGS) $(LLVM_FLAGS) -Itests/table -Itests/unit 2>&1 | { ! grep -v "warnings* generated"; }' tidy

bench: ## time the shipped networks: every kernel, fused against unfused, against OpenBLAS
	@tests/packages.sh $(BUILD_PACKAGES)
	@$(AGAIN) all
	$(BUILD)/segc bench graphs/bisenet.yaml
	$(BUILD)/segc bench graphs/deeplabv2.yaml

bench-peers: ## time them beside PyTorch, ONNX Runtime and OpenVINO (downloads 6 GB once)
	@tests/packages.sh $(PEER_PACKAGES)
	@$(AGAIN) all
	bench/peers/run.sh $(BUILD)
	bench/peers/run_train.sh $(BUILD)

install: all ## install below PREFIX (/usr/local); DESTDIR goes before it
	install -d '$(DESTDIR)$(PREFIX)/share/segc/graphs'
	install -D -m 755 $(BUILD)/segc '$(DESTDIR)$(PREFIX)/bin/segc'
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/lib/segc' $(BUILD)/libsegrt.a $(BUILD)/libsegrt_images.a
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/include/segc' runtime/segrt.h runtime/program.h runtime/rt_status.h
	install -D -m 644 -t '$(DESTDIR)$(PREFIX)/share/man/man1' compiler/segc.1
	cd graphs && for file in $$(find . -type f); do \
	    install -D -m 644 $$file '$(abspath $(DESTDIR)$(PREFIX))/share/segc/graphs'/$$file || exit; done

clean: ## remove what was built, but for the environment of bench-peers
	rm -rf $(filter-out build/peers-venv,$(wildcard build/*))

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "make %-12s %s\n", $$1, $$2 }'

# What a program links: the runtime, and the static image libraries in one archive. A shared library takes the system's image
# libraries instead: Debian's static ones are not position independent.
$(BUILD)/libsegrt.a: $(RUNTIME)
	$(MADE)
	$(Q)ar rcs $@.tmp $(RUNTIME) && mv $@.tmp $@

$(BUILD)/libsegrt_images.a:
	$(MADE)
	@mkdir -p $(@D)
	@printf 'create %s\n' $@.tmp > $@.mri
	@for l in png16 jpeg z; do printf 'addlib %s\n' $$($(CC) -print-file-name=lib$$l.a); done >> $@.mri
	@printf 'save\nend\n' >> $@.mri
	$(Q)ar -M < $@.mri
	@mv $@.tmp $@ && rm -f $@.mri

$(BUILD)/segc: $(COMMANDS:%.c=$(BUILD)/%.o) $(COMPILER) $(RUNTIME) $(BUILD)/libsegrt.a $(BUILD)/libsegrt_images.a
	$(MADE)
	$(Q)$(CC) $(OPT) $(CFLAGS) -o $@ $(filter %.o,$^) $(LIBS)

$(BUILD)/tests/run: $(TESTS) $(COMPILER) $(RUNTIME)
	$(MADE)
	$(Q)$(CC) $(OPT) $(CFLAGS) -o $@ $(filter %.o,$^) $(shell pkg-config --libs check) $(LIBS)

$(FUZZERS): %: %.o $(COMPILER) $(RUNTIME)
	$(MADE)
	$(Q)$(CC) $(OPT) $(CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(MADE)
	$(Q)$(CC) $(FLAGS) $(EXTRA) -c -o $@ $<

$(BUILD)/runtime/%.o: EXTRA = -fPIC
$(BUILD)/codegen/cpu_%.o: EXTRA = $(LLVM_FLAGS)
$(BUILD)/tests/%.o: EXTRA = -Itests/table -Itests/unit $(shell pkg-config --cflags check)

# Other flags than last time make everything anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(FLAGS)' | cmp -s - $@ || echo '$(CC) $(FLAGS)' > $@
FORCE:

-include $(shell find $(BUILD)/compiler $(BUILD)/codegen $(BUILD)/runtime $(BUILD)/tests -name '*.d' 2>/dev/null)

.PHONY: all demo test run-tests sanitize golden fuzz fuzzers lint bench bench-peers install clean help FORCE
