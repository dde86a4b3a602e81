/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * CPUs: see nmt_affinity.h. The set is allocated for the number asked for, because cpu_set_t ends
 * at CPU 1023.
 */
#include "nmt_affinity.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

#define CPU_MAX 65535 /* far above any kernel's NR_CPUS (8192 at most, Linux 6.x) */

int
nmt_n_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (int)n;
}

int
nmt_pin_self(int cpu)
{
	cpu_set_t *set;
	size_t size;
	int error = 0;

	if (cpu < 0 || cpu > CPU_MAX)
		return -EINVAL;
	set = CPU_ALLOC(cpu + 1);
	if (set == NULL)
		return -ENOMEM;
	size = CPU_ALLOC_SIZE(cpu + 1);
	CPU_ZERO_S(size, set);
	CPU_SET_S((size_t)cpu, size, set);
	if (sched_setaffinity(0, size, set) != 0)
		error = -errno;
	CPU_FREE(set);
	return error;
}
