/* SPDX-License-Identifier: BSD-2-Clause */
/* libFuzzer on netmapd.conf: whatever stands in it, the result is a configuration within its limits or a reason. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const int fd = memfd_create("conf", MFD_CLOEXEC);
	struct unm_reason why = {""};
	struct unm_config cfg;
	char path[40];
	int ret;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	unm_config_defaults(&cfg);
	ret = unm_config_load(&cfg, path, true, &why);
	if (ret < 0 && why.text[0] == '\0')
		abort();
	if (ret == 0 && (cfg.slots < 1 || cfg.slots > 4096 || cfg.clients < 1 ||
				cfg.clients > 65000 || cfg.ageing_s > UNM_CONFIG_MAX_AGEING_S))
		abort();
	close(fd);
	return 0;
}
