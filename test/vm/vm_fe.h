/* SPDX-License-Identifier: BSD-2-Clause */
/* Parts of the program vm-fe: its options, its report, and commands from standard input. */
#ifndef TEST_VM_VM_FE_H
#define TEST_VM_VM_FE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "nic.h"
#include "nmt_cli.h"

#define VM_FE_MAX_NICS	  64u
#define VM_FE_MAX_WATCHED 66u
#define VM_FE_MAX_CPUS	  8u

struct vm_fe {
	struct nic_config config[VM_FE_MAX_NICS];
	struct nic *nic; /* n_nics */
	unsigned int n_nics;
	double seconds, warm_up;
	bool has_control;		  /* commands from standard input */
	pid_t watched[VM_FE_MAX_WATCHED]; /* processes whose CPU time is reported */
	unsigned int n_watched;
	int busy_cpu[VM_FE_MAX_CPUS];
	unsigned int n_busy_cpus;
};

/* All counters at one time. */
struct vm_fe_sample {
	double time_s, busy_s;
	double cpu_s[VM_FE_MAX_NICS], watched_s[VM_FE_MAX_WATCHED];
	uint64_t sent[VM_FE_MAX_NICS], received[VM_FE_MAX_NICS], bytes[VM_FE_MAX_NICS];
	uint64_t kicks[VM_FE_MAX_NICS], sleeps[VM_FE_MAX_NICS];
};

extern const struct nmt_cli vm_fe_cli;

void vm_fe_parse(struct vm_fe *v, int argc, char **argv);
void vm_fe_sample(const struct vm_fe *v, struct vm_fe_sample *s);

/* One line of JSON: rates between the samples, and each NIC's accounts so far. */
void vm_fe_report(
	struct vm_fe *v, const struct vm_fe_sample *before, const struct vm_fe_sample *after);

/* Obey standard input until "quit" or its end. Return: 0 or -EIO. */
int vm_fe_control(struct vm_fe *v);

#endif
