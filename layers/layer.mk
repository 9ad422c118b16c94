# What both layers' Makefiles share. SAM calls build-<LogicalId> with ARTIFACTS_DIR, the folder that becomes /opt.

# lambda: python3.13 on arm64. host: the interpreter PYTHON, for the local stack, which runs functions on this machine.
LAYER_TARGET ?= lambda
PYTHON ?= python3

ifeq ($(LAYER_TARGET),host)
compiler := $(PYTHON)
else
compiler := python3.13
endif

# Lambda's disk is read-only: bytecode that is not shipped is compiled anew by every environment. Packing changes file
# times, so the bytecode is the kind that is never checked against them. A layer without bytecode works too, only starts slower.
define compile
@if $(compiler) -c "" 2>/dev/null; \
then $(compiler) -m compileall -q -s "$(1)" -p /opt --invalidation-mode unchecked-hash "$(1)/python"; \
else echo "no $(compiler) here: this layer goes without bytecode"; \
fi
endef
