/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench_opts.c - long options by table, for the command line and for the JSON line.
 *
 * One table per program says all: how a value is read, its range, the text of --help. The values
 * that were used appear in the result, so a figure never stands without its circumstances.
 */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void __attribute__((noreturn)) usage(const struct bench_conf *conf)
{
	printf("Usage: %s [OPTION]...\n%s Prints one line of JSON.\n\n", conf->program,
		conf->purpose);
	for (int i = 0; i < conf->n_opts; i++) {
		const struct bench_opt *o = &conf->opts[i];
		char name[64];

		snprintf(name, sizeof(name), "--%s%s", o->name,
			o->type == BENCH_FLAG ? "" : " VALUE");
		if (o->type == BENCH_U32)
			printf("  %-22s %s (default %u)\n", name, o->help, *(uint32_t *)o->value);
		else
			printf("  %-22s %s\n", name, o->help);
	}
	printf("  %-22s length of the measuring window (default 1)\n", "--seconds VALUE");
	printf("  %-22s time before it (default 0.2)\n", "--warm-up VALUE");
	printf("  %-22s CPUs to pin the sides to, first the sender's (default 0,1)\n",
		"--cpus LIST");
	printf("  %-22s print this and end\n", "--help");
	exit(0);
}

static void __attribute__((noreturn)) wrong_option(const char *name, const char *why)
{
	bench_say("--%s: %s; see --help", name, why);
	exit(2);
}

static double
read_number(const struct bench_opt *o, const char *text)
{
	char why[128];
	char *end;
	double value;

	errno = 0;
	value = strtod(text, &end);
	if (errno != 0 || end == text || *end != '\0' || !(value >= o->min && value <= o->max) ||
		(o->type == BENCH_U32 && value != (double)(uint32_t)value)) {
		snprintf(why, sizeof(why), "\"%.40s\" is not a number from %g to %g", text, o->min,
			o->max);
		wrong_option(o->name, why);
	}
	return value;
}

static void
read_cpus(struct bench_conf *conf, const char *text)
{
	const char *p = text;

	conf->n_cpus = 0;
	while (conf->n_cpus < BENCH_MAX_CPUS) {
		char *end;
		const unsigned long cpu = strtoul(p, &end, 10);

		if (end == p || cpu >= CPU_SETSIZE)
			break;
		conf->cpus[conf->n_cpus++] = (uint32_t)cpu;
		if (*end == '\0')
			return;
		if (*end != ',')
			break;
		p = end + 1;
	}
	wrong_option("cpus", "give one to eight CPU numbers with commas between, like 0,1");
}

static void
set_option(struct bench_conf *conf, const struct bench_opt *o, const char *text)
{
	switch (o->type) {
	case BENCH_U32:
		*(uint32_t *)o->value = (uint32_t)read_number(o, text);
		break;
	case BENCH_DOUBLE:
		*(double *)o->value = read_number(o, text);
		break;
	case BENCH_STRING:
		if (strpbrk(text, "\"\\\n") != NULL) /* print_options() prints it as it is */
			wrong_option(o->name, "quotes, backslashes and line ends are not allowed");
		*(const char **)o->value = text;
		break;
	case BENCH_FLAG:
		*(bool *)o->value = true;
		break;
	case BENCH_CPUS:
		read_cpus(conf, text);
		break;
	}
}

static const struct bench_opt *
find_option(const struct bench_opt *opts, int n, const char *name)
{
	for (int i = 0; i < n; i++)
		if (strcmp(opts[i].name, name) == 0)
			return &opts[i];
	return NULL;
}

void
bench_parse(struct bench_conf *conf, int argc, char **argv)
{
	const struct bench_opt common[] = {
		{"seconds", BENCH_DOUBLE, &conf->seconds, 0.01, 86400, ""},
		{"warm-up", BENCH_DOUBLE, &conf->warm_up, 0, 60, ""},
		{"cpus", BENCH_CPUS, NULL, 0, 0, ""},
	};

	bench_program = conf->program;
	conf->seconds = 1;
	conf->warm_up = 0.2;
	read_cpus(conf, "0,1");
	for (int i = 1; i < argc; i++) {
		const char *name = argv[i] + 2;
		const struct bench_opt *o;

		if (strncmp(argv[i], "--", 2) != 0) {
			bench_say("\"%.40s\" is not an option; see --help", argv[i]);
			exit(2);
		}
		if (strcmp(name, "help") == 0)
			usage(conf);
		o = find_option(conf->opts, conf->n_opts, name);
		if (o == NULL)
			o = find_option(common, (int)(sizeof(common) / sizeof(common[0])), name);
		if (o == NULL)
			wrong_option(name, "no such option");
		if (o->type != BENCH_FLAG && ++i == argc)
			wrong_option(name, "needs a value");
		set_option(conf, o, argv[i]);
	}
}

void
bench_print_options(const struct bench_conf *conf)
{
	printf("{\"bench\": \"%s\", \"options\": {", conf->program);
	for (int i = 0; i < conf->n_opts; i++) {
		const struct bench_opt *o = &conf->opts[i];

		printf("%s\"%s\": ", i > 0 ? ", " : "", o->name);
		if (o->type == BENCH_U32)
			printf("%u", *(uint32_t *)o->value);
		else if (o->type == BENCH_DOUBLE)
			printf("%g", *(double *)o->value);
		else if (o->type == BENCH_FLAG)
			printf("%s", *(bool *)o->value ? "true" : "false");
		else /* set_option() has refused what JSON would escape */
			printf("\"%s\"", *(const char **)o->value);
	}
	printf("}");
}
