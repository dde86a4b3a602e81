/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The system's own libpcap, behind ours.
 *
 * PCAP_REAL(pcap_compile)(...) calls it. Each function is looked up once, at its first use. Where
 * the program has the system's library loaded behind us (LD_PRELOAD under another name), it is that
 * one; else it is opened by path, so that both can be in one process although they have one name.
 *
 * What the system's library calls of itself goes through ours, if ours stands in front; that does
 * no harm, as everything that is not a netmap port is passed on.
 */
#ifndef UNM_PCAP_API_REAL_H
#define UNM_PCAP_API_REAL_H

/* pcap.h: give what is declared there to the program */
#define pcap_EXPORTS 1

#include <pcap/pcap.h>
#include <pcap/namedb.h>
#include <netdb.h>
#include <stdio.h>

/* In no header, but exported and used: */
unsigned char *pcap_ether_aton(const char *text);

/* Functions that do not concern netmap ports: forward.c defines them all. */
#define PCAP_FORWARD_LIST(X)                                                                       \
	X(bpf_dump)                                                                                \
	X(bpf_filter)                                                                              \
	X(bpf_image)                                                                               \
	X(bpf_validate)                                                                            \
	X(pcap_compile_nopcap)                                                                     \
	X(pcap_datalink_name_to_val)                                                               \
	X(pcap_datalink_val_to_description)                                                        \
	X(pcap_datalink_val_to_description_or_dlt)                                                 \
	X(pcap_datalink_val_to_name)                                                               \
	X(pcap_dump)                                                                               \
	X(pcap_dump_close)                                                                         \
	X(pcap_dump_file)                                                                          \
	X(pcap_dump_flush)                                                                         \
	X(pcap_dump_ftell)                                                                         \
	X(pcap_dump_ftell64)                                                                       \
	X(pcap_ether_aton)                                                                         \
	X(pcap_ether_hostton)                                                                      \
	X(pcap_fopen_offline)                                                                      \
	X(pcap_fopen_offline_with_tstamp_precision)                                                \
	X(pcap_free_datalinks)                                                                     \
	X(pcap_free_tstamp_types)                                                                  \
	X(pcap_freealldevs)                                                                        \
	X(pcap_freecode)                                                                           \
	X(pcap_init)                                                                               \
	X(pcap_lib_version)                                                                        \
	X(pcap_lookupdev)                                                                          \
	X(pcap_nametoaddr)                                                                         \
	X(pcap_nametoaddrinfo)                                                                     \
	X(pcap_nametoeproto)                                                                       \
	X(pcap_nametollc)                                                                          \
	X(pcap_nametonetaddr)                                                                      \
	X(pcap_nametoport)                                                                         \
	X(pcap_nametoportrange)                                                                    \
	X(pcap_nametoproto)                                                                        \
	X(pcap_next_etherent)                                                                      \
	X(pcap_offline_filter)                                                                     \
	X(pcap_open_dead)                                                                          \
	X(pcap_open_dead_with_tstamp_precision)                                                    \
	X(pcap_open_offline)                                                                       \
	X(pcap_open_offline_with_tstamp_precision)                                                 \
	X(pcap_statustostr)                                                                        \
	X(pcap_strerror)                                                                           \
	X(pcap_tstamp_type_name_to_val)                                                            \
	X(pcap_tstamp_type_val_to_description)                                                     \
	X(pcap_tstamp_type_val_to_name)

/* Functions that the other files define, for netmap ports, and pass on for everything else. */
#define PCAP_OWN_LIST(X)                                                                           \
	X(pcap_activate)                                                                           \
	X(pcap_breakloop)                                                                          \
	X(pcap_bufsize)                                                                            \
	X(pcap_can_set_rfmon)                                                                      \
	X(pcap_close)                                                                              \
	X(pcap_compile)                                                                            \
	X(pcap_create)                                                                             \
	X(pcap_datalink)                                                                           \
	X(pcap_datalink_ext)                                                                       \
	X(pcap_dispatch)                                                                           \
	X(pcap_dump_fopen)                                                                         \
	X(pcap_dump_open)                                                                          \
	X(pcap_dump_open_append)                                                                   \
	X(pcap_file)                                                                               \
	X(pcap_fileno)                                                                             \
	X(pcap_findalldevs)                                                                        \
	X(pcap_get_required_select_timeout)                                                        \
	X(pcap_get_selectable_fd)                                                                  \
	X(pcap_get_tstamp_precision)                                                               \
	X(pcap_geterr)                                                                             \
	X(pcap_getnonblock)                                                                        \
	X(pcap_inject)                                                                             \
	X(pcap_is_swapped)                                                                         \
	X(pcap_list_datalinks)                                                                     \
	X(pcap_list_tstamp_types)                                                                  \
	X(pcap_lookupnet)                                                                          \
	X(pcap_loop)                                                                               \
	X(pcap_major_version)                                                                      \
	X(pcap_minor_version)                                                                      \
	X(pcap_next)                                                                               \
	X(pcap_next_ex)                                                                            \
	X(pcap_open_live)                                                                          \
	X(pcap_perror)                                                                             \
	X(pcap_sendpacket)                                                                         \
	X(pcap_set_buffer_size)                                                                    \
	X(pcap_set_datalink)                                                                       \
	X(pcap_set_immediate_mode)                                                                 \
	X(pcap_set_promisc)                                                                        \
	X(pcap_set_protocol_linux)                                                                 \
	X(pcap_set_rfmon)                                                                          \
	X(pcap_set_snaplen)                                                                        \
	X(pcap_set_timeout)                                                                        \
	X(pcap_set_tstamp_precision)                                                               \
	X(pcap_set_tstamp_type)                                                                    \
	X(pcap_setdirection)                                                                       \
	X(pcap_setfilter)                                                                          \
	X(pcap_setnonblock)                                                                        \
	X(pcap_snapshot)                                                                           \
	X(pcap_stats)

#define PCAP_REAL_ENUM(name) PCAP_REAL_ID_##name,
enum unm_pcap_real_id {
	PCAP_FORWARD_LIST(PCAP_REAL_ENUM) PCAP_OWN_LIST(PCAP_REAL_ENUM) PCAP_REAL_N,
};
#undef PCAP_REAL_ENUM

extern void *unm_pcap_real_table[PCAP_REAL_N];

/*
 * Does not return, but ends the program as the dynamic linker would, if there is no such function.
 */
void *unm_pcap_real_resolve(enum unm_pcap_real_id id);

static inline void *
unm_pcap_real_get(enum unm_pcap_real_id id)
{
	void *f = __atomic_load_n(&unm_pcap_real_table[id], __ATOMIC_RELAXED);

	return __builtin_expect(f != NULL, 1) ? f : unm_pcap_real_resolve(id);
}

#define PCAP_REAL(name) ((__typeof__(&name))unm_pcap_real_get(PCAP_REAL_ID_##name))

#endif
