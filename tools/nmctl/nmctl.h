/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of nmctl share. main.c reads the command line, the others each serve some commands. */
#ifndef NMCTL_H
#define NMCTL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "conn.h"
#include "nmt_cli.h"

struct nmctl {
	const struct nmt_cli *cli;
	struct unm_conn conn;
	const char *socket_path;
	bool json;
	bool libvirt, uml; /* vm-args: for whom */
	uint64_t interval_ns;
	uint64_t count; /* 0 = until interrupted */
	char **args;	/* the command and what follows it */
	unsigned int n_args;
};

/* Commands. Return: exit status. Wrong arguments do not return. */
int cmd_show(struct nmctl *n);
int cmd_stats(struct nmctl *n);
int cmd_doctor(struct nmctl *n);
int cmd_vm_args(struct nmctl *n);
int cmd_isolate(struct nmctl *n);

/** nmctl_connect() - or end with the reason. */
void nmctl_connect(struct nmctl *n);

/** nmctl_ask() - a command's JSON, the caller's; or end with the reason. */
struct json_object *nmctl_ask(struct nmctl *n, const char *const *words, unsigned int n_words);

/* Fields of an object; 0, "" or false if there is none. */
uint64_t field_u64(struct json_object *o, const char *key);
const char *field_str(struct json_object *o, const char *key);
bool field_bool(struct json_object *o, const char *key);
struct json_object *field_obj(struct json_object *o, const char *key);

/** format_count() - 1234567 as "1.23M"; @buf: at least 16 bytes. Return: @buf. */
const char *format_count(char *buf, double v);

/** dropped_total() - all reasons of the "dropped" object of a port or ring. */
uint64_t dropped_total(struct json_object *o);

#endif
