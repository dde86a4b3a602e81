# SPDX-License-Identifier: BSD-2-Clause
# bash completion for pkt-gen(8). The shell takes a colon for a word of its own, so what follows the
# colon of a port name is completed as a separate word.

_pkt_gen()
{
	local cur=${COMP_WORDS[COMP_CWORD]}
	local prev=${COMP_WORDS[COMP_CWORD - 1]}
	local words='-i -f -n -l -b -s -d -S -D -4 -6 -z -Z -P -F -M -H -r -I -o -X -R -w -W -p -c -a
		-C -T -N -A -B -v -h --busy-wait --json --help --version'

	[[ $cur == : ]] && prev=: cur=
	case $prev in
	:)
		local names=(/sys/class/net/*)
		words=${names[*]##*/}
		;;
	-i)
		words='netmap: vale0: tap: pcap: null'
		compopt -o nospace
		;;
	-f) words='rx tx ping pong txseq rxseq' ;;
	-H) words='0 10 12' ;;
	-o) words='1 2 4 8 16 32 64 256' ;;
	-P)
		compopt -o default
		return
		;;
	-[abcdlnpswCDFMRST]) return ;; # numbers and addresses
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _pkt_gen pkt-gen
