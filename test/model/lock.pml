/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The lock of src/shm/lock.h, for an exhaustive search by spin.
 *
 * Three clients take the lock, one of them twice, by unm_lock_take() and unm_lock_wait(), and release
 * it. One of them may be killed at any step, and who waits may give up when it has looked; netmapd
 * frees the word of the dead one (unm_lock_break()).
 *
 * All is done to one word by single accesses and by the kernel, which compares it when somebody goes to
 * sleep: coherence of that word is enough, there are no store buffers to spell out.
 *
 * Claims: no two living clients hold the lock. Nobody sleeps until its budget ends (which is what makes
 * the wait bounded whatever happens) unless one has died that owed a wake-up: between its release and
 * its FUTEX_WAKE, or woken itself and not yet come to look. In the end the lock is free.
 *
 * Negative controls, each of which must break a claim: NO_BREAK (netmapd does not free the word),
 * NO_BREAK_WAKE (it does, and wakes nobody), NO_MARK_KEPT (a sleeper takes the lock without the mark),
 * NO_PASS_ON (who gives up without having set the mark wakes nobody), PLAIN_RELEASE (the mark is read,
 * then the word is stored), BREAK_ALIVE (netmapd frees the word of one that lives).
 */
#define N 3
#define NOBODY 0

byte holder;		/* the word: 0 or client + 1 ... */
bit mark;		/* ... and UNM_LOCK_CONTENDED */
bit asleep[N];		/* in the kernel's queue for the word */
bit holds[N];		/* in its critical section, and alive */
bit dead[N];
byte n_ended, n_broken;
bit owed;		/* somebody died that owed a wake-up */
bit killed;		/* one is enough */

#define MAY_DIE atomic { !killed -> killed = 1; goto die }

/* FUTEX_WAKE of one; any of them may be first. */
inline wake_one()
{
	atomic {
		if
		:: asleep[0] -> asleep[0] = 0
		:: asleep[1] -> asleep[1] = 0
		:: asleep[2] -> asleep[2] = 0
		:: !asleep[0] && !asleep[1] && !asleep[2]
		fi
	}
}

proctype client(byte i; byte n_left)
{
	byte seen;
	bit seen_mark;
	bit was_woken;	/* by a wake-up that nobody else has got */
	bit marked;	/* of the release */
	bit dies_asleep;

again:	if			/* unm_lock_try() */
	:: atomic { holder == NOBODY -> holder = i + 1; goto got }
	:: skip
	fi;
look:	atomic { seen = holder; seen_mark = mark };
	if
	:: MAY_DIE
	:: skip
	fi;
	if
	:: seen == NOBODY ->
		atomic {
			if
			:: holder == NOBODY ->
				holder = i + 1;
#ifndef NO_MARK_KEPT
				mark = 1;
#endif
				was_woken = 0;
				goto got
			:: else
			fi
		}
	:: seen != NOBODY && !seen_mark ->
		d_step {	/* mark_contended() */
			if
			:: holder == seen && !mark -> mark = 1; seen_mark = 1
			:: else
			fi
		}
	:: seen != NOBODY && seen_mark
	fi;
	if
	:: seen_mark -> was_woken = 0	/* the holder will wake somebody */
	:: else
	fi;
	if
	:: MAY_DIE
	:: goto give_up
	:: skip
	fi;
	if
	:: !seen_mark -> goto look
	:: else
	fi;
	atomic {		/* FUTEX_WAIT */
		if
		:: holder == seen && mark -> asleep[i] = 1
		:: else -> goto look
		fi
	};
	if			/* decided now: what may always happen would keep timeout from it */
	:: atomic { !killed -> killed = 1; dies_asleep = 1 }
	:: skip
	fi;
	if
	:: dies_asleep ->
		atomic { was_woken = !asleep[i]; asleep[i] = 0; goto die }
	:: !dies_asleep && !asleep[i] -> was_woken = 1
	:: atomic { !dies_asleep && timeout -> assert(owed); asleep[i] = 0 }
	fi;
	goto look;

give_up:
#ifndef NO_PASS_ON
	if
	:: !seen_mark -> wake_one()
	:: else
	fi;
#endif
	was_woken = 0;
	goto ended;

got:	atomic {
		holds[i] = 1;
		assert(holds[0] + holds[1] + holds[2] == 1)
	};
	if
	:: atomic { !killed -> killed = 1; holds[i] = 0; goto die }
	:: holds[i] = 0
	fi;
#ifdef PLAIN_RELEASE
	marked = mark;
	d_step { holder = NOBODY; mark = 0 };
#else
	d_step { marked = mark; holder = NOBODY; mark = 0 };
#endif
	if
	:: marked ->
		if
		:: atomic { !killed -> killed = 1; was_woken = 1; goto die }
		:: wake_one()
		fi
	:: else
	fi;
	goto ended;

die:	atomic {
		owed = owed || was_woken;
		dead[i] = 1
	};
ended:	n_left--;
	if
	:: n_left > 0 && !dead[i] -> goto again
	:: else
	fi;
	n_ended++
}

/* Return of unm_lock_break() for client i once it is dead. */
proctype netmapd(byte i)
{
	byte seen;
	bit seen_mark;

#ifdef BREAK_ALIVE
	skip;
#else
end:	dead[i];
#endif
	do
	:: atomic { seen = holder; seen_mark = mark };
		if
		:: seen != i + 1 -> break
		:: else
		fi;
#ifdef NO_BREAK
		break;
#endif
		if
		:: atomic { holder == seen && mark == seen_mark -> holder = NOBODY; mark = 0 };
#ifndef NO_BREAK_WAKE
			wake_one();
#endif
			break
		:: atomic { !(holder == seen && mark == seen_mark) } /* marked meanwhile: again */
		fi
	od;
	n_broken++
}

init {
	byte n_dead;

	atomic {
		run client(0, 2); run client(1, 1); run client(2, 1);
		run netmapd(0); run netmapd(1); run netmapd(2)
	};
	n_ended == N;
	n_dead = dead[0] + dead[1] + dead[2];
	n_broken >= n_dead;
	assert(holder == NOBODY)
}
