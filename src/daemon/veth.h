/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which network interfaces are the two ends of one veth pair?
 *
 * An interface names its other end by number (IFLA_LINK) and by the number that the interface's
 * namespace has for the other one's (IFLA_LINK_NETNSID). Which namespace that is can be asked with a
 * descriptor of the candidate's (RTM_GETNSID). So nothing is entered, and no names are compared.
 */
#ifndef UNM_DAEMON_VETH_H
#define UNM_DAEMON_VETH_H

#include <stdbool.h>
#include <stdint.h>

/**
 * unm_veth_socket() - for questions about interfaces of a network namespace
 * @fd: a socket that is in it
 *
 * Return: descriptor or -errno.
 */
int unm_veth_socket(int fd);

/**
 * unm_veth_ask_netnsid() - the number that one namespace has for another
 * @sock: from unm_veth_socket(), in the first
 * @ns:   descriptor of the second
 *
 * Return: 0; -ENOENT: it has none; other errnos.
 */
int unm_veth_ask_netnsid(int sock, int ns, int32_t *id);

/**
 * unm_veth_is_pair() - are interface @a of @sock_a's namespace and @b of @sock_b's one pair?
 * @sock_a, @sock_b: from unm_veth_socket()
 *
 * Return: false also if it can't be found out.
 */
bool unm_veth_is_pair(int sock_a, uint32_t a, int sock_b, uint32_t b);

#endif
