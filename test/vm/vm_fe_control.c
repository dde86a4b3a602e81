/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Commands to vm-fe on its standard input. Each is answered by one line of JSON, in order:
 *
 *   reboot 0   {"ret": 0}                       or {"ret": -71, "error": "..."}
 *   log-check  {"ret": 0, "changed": 12, "marked": 14, "missed": 0}
 *   stats      the report, with rates since the last
 */
#include "vm_fe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nmt_json.h"

#define COMMAND_MS 20000

struct command {
	const char *name;
	enum nic_request request;
};

static const struct command commands[] = {
	{"run", NIC_REQ_RUN},
	{"pause", NIC_REQ_PAUSE},
	{"reboot", NIC_REQ_REBOOT},
	{"stop-cont", NIC_REQ_STOP_CONT},
	{"drop", NIC_REQ_DROP},
	{"log-begin", NIC_REQ_LOG_BEGIN},
	{"log-check", NIC_REQ_LOG_CHECK},
	{"drain", NIC_REQ_DRAIN},
};

static void
answer(const struct nic *n, enum nic_request request, int ret)
{
	struct nmt_json j;

	nmt_json_init(&j, stdout);
	nmt_json_begin_object(&j, NULL);
	nmt_json_i64(&j, "ret", ret);
	if (ret < 0)
		nmt_json_str(&j, "error", n == NULL ? "no such command" : n->fe.error);
	if (request == NIC_REQ_LOG_CHECK && n != NULL) {
		nmt_json_u64(&j, "changed", n->log_result.changed);
		nmt_json_u64(&j, "marked", n->log_result.marked);
		nmt_json_u64(&j, "missed", n->log_result.missed);
	}
	nmt_json_end_object(&j);
	nmt_json_newline(&j);
}

/* The request for one NIC or for all, until one fails. */
static void
obey(struct vm_fe *v, enum nic_request request, const char *which)
{
	unsigned int first = 0, last = v->n_nics, i;
	int ret = 0;

	if (which != NULL && strcmp(which, "all") != 0) {
		first = (unsigned int)strtoul(which, NULL, 10);
		last = first + 1;
	}
	if (first >= v->n_nics) {
		answer(NULL, NIC_REQ_NONE, -EINVAL);
		return;
	}
	for (i = first; i < last; i++) {
		ret = nic_command(&v->nic[i], request, COMMAND_MS);
		if (ret < 0)
			break;
	}
	answer(&v->nic[i < last ? i : last - 1], request, ret);
}

int
vm_fe_control(struct vm_fe *v)
{
	struct vm_fe_sample before, now;
	char line[128];

	vm_fe_sample(v, &before);
	while (fgets(line, sizeof(line), stdin) != NULL) {
		const char *name = strtok(line, " \n"), *which = strtok(NULL, " \n");
		size_t i;

		if (name == NULL)
			continue;
		if (strcmp(name, "quit") == 0)
			return 0;
		if (strcmp(name, "stats") == 0) {
			vm_fe_sample(v, &now);
			vm_fe_report(v, &before, &now);
			before = now;
			continue;
		}
		for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
			if (strcmp(name, commands[i].name) == 0)
				break;
		if (i == sizeof(commands) / sizeof(commands[0]))
			answer(NULL, NIC_REQ_NONE, -EINVAL);
		else
			obey(v, commands[i].request, which);
	}
	return 0;
}
