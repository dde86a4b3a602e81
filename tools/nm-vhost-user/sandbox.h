/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Giving up what a device server does not need, in stages, so that a bug in the device model costs
 * one NIC and not the host.
 *
 *   start            parse, fork the witness, bind sockets; netmapd runs or has been started; make
 *                    files of records, fork the helper (helper.h), which is there for the start only
 *   vh_sandbox_files()  no capabilities, no new privileges; files and TCP are out of reach
 *                    (landlock), for this thread and those that it makes
 *   open ports       libnetmap connects to netmapd, maps regions, starts its control thread
 *   vh_sandbox_calls()  only the system calls that moving frames, talking to front ends and
 *                    coming back to a restarted netmapd take (seccomp, all threads); others fail
 *                    with EPERM. connect() to netmapd and the front ends of --client only
 *   serve
 */
#ifndef VH_SANDBOX_H_
#define VH_SANDBOX_H_

struct sockaddr_un;

/*
 * Return: 0 or a negative errno. A kernel without landlock is accepted, as the next stage is there.
 */
int vh_sandbox_files(void);
/* Connections can be made by these addresses only, which must be sealed (unetmap.h). */
int vh_sandbox_calls(const struct sockaddr_un *const *addresses, unsigned int n_addresses);
/* Of the witness (witness.h): what it has open can be read and written, and stat(2) used. */
int vh_sandbox_witness(void);

#endif /* VH_SANDBOX_H_ */
