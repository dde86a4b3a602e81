/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * For the files that define libc's names. To be included before any header.
 *
 * With 64-bit file offsets asked for, the C library's headers rename open to open64 and so on, and
 * with fortification they turn functions into inline ones: both would be in the way of defining
 * them.
 */
#ifndef UNM_CLIENT_INTERPOSE_H
#define UNM_CLIENT_INTERPOSE_H

#undef _FILE_OFFSET_BITS
#undef _TIME_BITS
#undef _FORTIFY_SOURCE

#define UNM_INTERPOSE __attribute__((visibility("default")))

#endif
