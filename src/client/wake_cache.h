/* SPDX-License-Identifier: BSD-2-Clause */
/* Eventfds of other processes' bindings: asked for once, kept for the next wake. */
#ifndef UNM_CLIENT_WAKE_CACHE_H
#define UNM_CLIENT_WAKE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

struct unm_seg;

/**
 * unm_wake_fd() - callback of unm_env: the eventfd that wakes a binding
 *
 * It stays open at least until the end of the caller's epoch section. Return: descriptor; -ESTALE the
 * binding is gone; else -errno: netmapd does not answer in time (UNM_PATIENCE_WAKE), and the control
 * thread will give the signal instead; or there is no room for the descriptor, and netmapd has given it.
 */
int unm_wake_fd(const struct unm_seg *seg, uint32_t binding, uint32_t gen);

/*
 * Give the signals that are owed: for the control thread. Waits for UNM_PATIENCE_WAKE at most. Return: false: some
 * are left.
 */
bool unm_wake_pay(void);

/* The segment has gone: close what belongs to it. */
void unm_wake_cache_forget(uint64_t seg_uid);

void unm_wake_cache_after_fork(void);

#endif
