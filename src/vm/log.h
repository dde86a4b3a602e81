/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of a device server. What a guest or a front end can cause is logged through here, and
 * limited: a burst of 20 lines, then one a second, for each NIC. Nothing that came from the other
 * side is printed raw, only numbers.
 */
#ifndef UNM_VM_LOG_H
#define UNM_VM_LOG_H

/* Gets a line without newline. Must not block for long. */
typedef void unm_vm_log_fn(void *arg, const char *line);

/* Where lines go; NULL: standard error, which is the default. Before any other thread runs. */
void unm_vm_set_log(unm_vm_log_fn *fn, void *arg);

/**
 * unm_vm_log() - one line "NAME: TEXT", cut at about 300 characters
 * @name: whom it is about: a NIC, "vale0:vm1", or a part of it, "vale0:vm1 ring 3". What is before
 *        the first space is whose limit counts.
 *
 * Thread: that of the loop.
 */
void unm_vm_log(const char *name, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
