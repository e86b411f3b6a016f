# Every target is one call of tasks.py, which works without make, too. Pass parameters with ARGS:
#   make run ARGS="-p dataset ckplus"
PYTHON ?= python3
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help env run sweep all site test lint tidy lock clean

help env run sweep all site test lint tidy lock clean:
	@$(PYTHON) tasks.py $@ $(ARGS)
