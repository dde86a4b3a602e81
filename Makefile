# Thin front end to meson. Two commands matter to a newcomer: make demo, make check.
BUILD ?= build

.PHONY: all demo check bench install clean deps

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	scripts/deps build
	meson setup $(BUILD)

# Build, then show the main job on real traffic.
demo:
	scripts/deps demo
	$(MAKE) --no-print-directory all
	demo/run --build $(BUILD)

# Every test that this machine allows; ends with "N passed, N failed, N skipped".
check:
	scripts/deps check
	scripts/check

# Ours, the peers and the bare-memory limit side by side (takes a while).
bench:
	scripts/deps bench
	$(MAKE) --no-print-directory all
	bench/run --build $(BUILD)

install: all
	meson install -C $(BUILD)
	[ -n "$(DESTDIR)" ] || ldconfig

clean:
	rm -rf $(BUILD)
