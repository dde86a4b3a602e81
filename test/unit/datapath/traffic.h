/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What tests of the data path do as applications: fill tx slots, look at rx slots, and make frames that prove by
 * themselves that they arrived whole and in order.
 *
 * A frame of traffic_fill() carries its flow, its number within the flow, its length and a checksum over everything.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "port/port.h"
#include "ring/slot.h"

#define TRAFFIC_MIN_LEN 40u

/* As assert() that can't be compiled out; for programs with threads or processes, where cmocka's can't be used. */
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* A locally administered unicast MAC that tells which port it belongs to. */
void traffic_mac(uint8_t *mac, uint32_t port);

/* Fill @len >= TRAFFIC_MIN_LEN bytes: Ethernet header from port @src to port @dst (UNM_NONE: broadcast), then the proof. */
void traffic_fill(
	uint8_t *frame, uint32_t len, uint32_t dst, uint32_t src, uint32_t flow, uint64_t seq);

/* Is this a whole frame of traffic_fill()? *flow and *seq are set if so. */
bool traffic_check(const uint8_t *frame, uint32_t len, uint32_t *flow, uint64_t *seq);

/* Repeatable numbers. @state: any start value. */
uint32_t traffic_random(uint64_t *state);

/* The buffer of slot @i of a ring that we own. */
uint8_t *ring_buf(const struct unm_bring *r, uint32_t i);
/* Slots between head and tail. */
uint32_t ring_space(const struct unm_bring *r);
/* Hand over or give back @n slots: head = cur = head + n. */
void ring_advance(struct unm_bring *r, uint32_t n);

/* Put @len bytes into the slot at head with @flags, and advance. There must be room. Return: the slot. */
uint32_t ring_send(struct unm_bring *r, const void *data, uint32_t len, uint16_t flags);
/* As ring_send() with a frame of traffic_fill(). */
uint32_t ring_send_frame(
	struct unm_bring *r, uint32_t len, uint32_t dst, uint32_t src, uint32_t flow, uint64_t seq);

/* Monotonic time. */
uint64_t traffic_now_ns(void);

#endif
