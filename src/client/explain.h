/* SPDX-License-Identifier: BSD-2-Clause */
/* Sentences for failures that netmapd has said nothing about. */
#ifndef UNM_CLIENT_EXPLAIN_H
#define UNM_CLIENT_EXPLAIN_H

/**
 * unm_explain() - unless there is a sentence already, give this thread one about @err (0 or
 * negative errno)
 */
void unm_explain(int err);

#endif
