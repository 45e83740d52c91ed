# SPDX-License-Identifier: GPL-2.0-only
# Builds, installs, tests and shows pmemswap: "make help" lists what there is.

# Kernel to build against: the running one if it is 6.12 or newer, else the newest 6.12 headers
KDIR ?= $(shell selftests/vm/kdir)
MODULES := pmem_tier pmemswap pmem_cachex
# Where the operator says which namespaces are for us: never overwritten
MODPROBE_CONF = $(DESTDIR)/etc/modprobe.d/pmemswap.conf

NPROC := $(shell nproc)
# Sub-makes share the job server of "make -j"; without one they may use all CPUs
JOBS = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(NPROC))
KBUILD = $(MAKE) $(JOBS) -C $(KDIR) M=$(CURDIR)
KVER = $(shell cat $(KDIR)/include/config/kernel.release)

.DEFAULT_GOAL := modules
.PHONY: help modules modules_install install uninstall clean distclean \
	setup progs demo check check-debug coverage bench lint vm need-kdir

help: ## this list
	@echo 'Targets (default: modules):'
	@sed -n 's/^\([a-z_-]*\):.*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | \
		while IFS='|' read -r t d; do printf '  %-16s %s\n' $$t "$$d"; done
	@echo 'Variables:'
	@echo '  KDIR=DIR         kernel build directory ($(KDIR))'
	@echo '  DESTDIR=DIR      install below DIR instead of /'
	@echo '  PMEMSWAP_CACHE=DIR  where the images for guests are kept (build/vm)'
	@echo '  TESTS="NAME..."  for check-debug, coverage: only these (core, core/claim)'
	@echo '  BENCH="--quick"  for bench: options of bench/run, see bench/run --help'
	@echo '  FLAVOUR=kcsan    for check-debug: the kernel that finds data races'

need-kdir:
	@test -e "$(KDIR)/include/config/kernel.release" || { \
		echo 'No headers of a kernel 6.12 or newer: run "make setup", or give KDIR=DIR' >&2; exit 1; }

modules: need-kdir ## build the kernel modules, and those for tests
	+$(KBUILD) W=1 KCFLAGS=-Werror modules
	+$(KBUILD)/selftests/modules KBUILD_EXTRA_SYMBOLS=$(CURDIR)/Module.symvers \
		W=1 KCFLAGS=-Werror modules

modules_install: need-kdir ## copy the modules to /lib/modules/VERSION/updates
	+$(KBUILD) INSTALL_MOD_PATH=$(DESTDIR) CONFIG_MODULE_SIG_ALL= modules_install

install: modules_install ## modules_install, and make modprobe find them
	depmod $(if $(DESTDIR),-b $(DESTDIR)) $(KVER)
	test -e $(MODPROBE_CONF) || install -D -m 644 core/modprobe.conf $(MODPROBE_CONF)

uninstall: need-kdir ## undo install
	for m in $(MODULES); do \
		find $(DESTDIR)/lib/modules/$(KVER)/updates -name $$m.ko\* -delete; done
	depmod $(if $(DESTDIR),-b $(DESTDIR)) $(KVER)
	if cmp -s core/modprobe.conf $(MODPROBE_CONF); then rm $(MODPROBE_CONF); fi

# Not by kbuild's own clean: that would empty the images' trees below build/ as well
clean: ## remove what the build made
	@find . -path ./build -prune -o -path ./.git -prune -o -type f \( \
		-name '*.o' -o -name '*.o.d' -o -name '*.a' -o -name '*.ko' -o \
		-name '*.mod' -o -name '*.mod.c' -o -name '.*.cmd' -o \
		-name '*.symvers' -o -name modules.order \) -exec rm -f {} +
	+@$(MAKE) -s -C selftests clean
	rm -rf build/out

distclean: clean ## clean, and remove the images for guests
	rm -rf build

setup: ## install what is needed to build and to boot guests (apt)
	@selftests/vm/vm setup

progs:
	+@$(MAKE) $(JOBS) -s -C selftests progs

# Each builds in a make of its own, because setup may just have installed the headers
demo: setup ## see it work: a guest with more work than memory
	+@$(MAKE) --no-print-directory modules progs
	bench/demo

check: setup ## run all tests in guests; a few on the debug kernel first, if it has been built
	+@$(MAKE) --no-print-directory modules progs
	@selftests/debug/check --quick
	@selftests/check

check-debug: setup ## run guest tests on a kernel with KASAN, lockdep, kmemleak ...
	@selftests/debug/check $(if $(FLAVOUR),-f $(FLAVOUR)) $(TESTS)

coverage: setup ## run guest tests on a kernel with fault injection: which lines are never run?
	@selftests/debug/check --coverage $(TESTS)

bench: ## measure, in guests: tables, JSON and charts
	@selftests/vm/vm setup bench
	+@$(MAKE) --no-print-directory modules progs
	bench/run $(BENCH)

lint: ## check style and run static checks
	@selftests/vm/vm setup lint
	@selftests/lint

vm: setup ## a shell in a guest, with the modules at hand
	+@$(MAKE) --no-print-directory modules progs
	@selftests/vm/vm shell --nvdimm 512M --disk 1G
