/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sleep/wake protocol of src/ring/wake.h, for an exhaustive search by spin.
 *
 * Two wakers each publish one position and wake whoever sleeps; two sleepers, each with a binding of its own on the same ring, look, arm, look again and
 * sleep. A waker may be killed after any step once it has published; netmapd then signals every binding.
 *
 * spin explores sequentially consistent interleavings, so the store buffers of x86-TSO are spelled out: a plain store waits in its process's
 * buffer until it drains by itself (process drain) or is forced out by a fence or a locked instruction.
 *
 * Claim: when nothing can move any more, every sleeper has looked after the last publication.
 *
 * Negative controls, each of which must break the claim: NO_WAKER_FENCE, NO_SLEEPER_FENCE, STORE_FOR_EXCHANGE (kring.want is wiped by
 * a store instead of an exchange), NO_RESCUE (netmapd does not signal after a death).
 */
#define N 2

byte pos;		/* hwtail: how many publications are visible */
bit kwant;		/* kring.want */
bit bwant[N];		/* binding.want */
byte signals[N];	/* eventfd of each binding */
byte looked[N];		/* position that the sleeper saw last */
byte n_dead, n_rescued;

/* Store buffers: one entry per word that its process stores plainly */
bit buf_pos[N];		/* waker i: pos + 1 */
bit buf_wipe[N];	/* waker i: kwant = 0 (only with STORE_FOR_EXCHANGE) */
bit buf_kwant[N];	/* sleeper i: kwant = 1 */

/* In program order: the position was stored before the wipe. */
inline drain_waker(i)
{
	d_step {
		if
		:: buf_pos[i] -> pos++; buf_pos[i] = 0
		:: else
		fi;
		if
		:: buf_wipe[i] -> kwant = 0; buf_wipe[i] = 0
		:: else
		fi
	}
}

inline drain_sleeper(i)
{
	d_step {
		if
		:: buf_kwant[i] -> kwant = 1; buf_kwant[i] = 0
		:: else
		fi
	}
}

/* Buffers drain by themselves, one entry at a time. */
proctype drain(byte i)
{
end:	do
	:: d_step { buf_pos[i] -> pos++; buf_pos[i] = 0 }
	:: d_step { !buf_pos[i] && buf_wipe[i] -> kwant = 0; buf_wipe[i] = 0 }
	:: d_step { buf_kwant[i] -> kwant = 1; buf_kwant[i] = 0 }
	od
}

proctype waker(byte i)
{
	byte b;
	bit had;

	buf_pos[i] = 1;		/* unm_kring_publish_hwtail() */
#ifndef NO_WAKER_FENCE
	drain_waker(i);		/* unm_full_fence() */
#endif
	if
	:: kwant == 0 -> goto done
	:: else
	fi;
#ifdef STORE_FOR_EXCHANGE
	buf_wipe[i] = 1;
#else
	d_step {		/* unm_exchange(&k->want, 0) */
		if
		:: buf_pos[i] -> pos++; buf_pos[i] = 0
		:: else
		fi;
		kwant = 0
	}
#endif
	b = 0;
	do
	:: b == N -> break
	:: b < N ->
		if
		:: bwant[b] ->
			drain_waker(i);
			d_step { had = bwant[b]; bwant[b] = 0 };
			if
			:: goto die	/* killed: the mark is taken, the signal is not sent */
			:: had -> signals[b]++
			:: !had
			fi
		:: else
		fi;
		b++
	od;
	goto done;
die:	n_dead++;
done:	skip
}

/* What netmapd does when a session hangs up. */
proctype netmapd()
{
	byte b;

end:	do
	:: n_rescued < n_dead ->
#ifndef NO_RESCUE
		b = 0;
		do
		:: b == N -> break
		:: b < N ->
			d_step { bwant[b] = 0; signals[b]++ };
			b++
		od;
#endif
		n_rescued++
	od
}

proctype sleeper(byte i)
{
	byte seen;

	do
	:: seen = signals[i];		/* edges up to here end no later sleep */
		d_step { bwant[i] = 1 };	/* a locked or: orders what is before and after it */
		buf_kwant[i] = 1;	/* unm_arm_ring() */
#ifndef NO_SLEEPER_FENCE
		drain_sleeper(i);	/* unm_arm_fence() */
#endif
		looked[i] = pos;	/* unm_bport_poll() */
		if
		:: looked[i] == N -> break	/* all there is */
		:: else
		fi;
end_asleep:	signals[i] > seen	/* epoll, edge-triggered */
	od
}

init {
	atomic {
		run drain(0); run drain(1);
		run sleeper(0); run sleeper(1);
		run waker(0); run waker(1);
		run netmapd()
	};
	timeout -> assert(looked[0] == N && looked[1] == N)
}
