# SPDX-License-Identifier: BSD-2-Clause
#
# Wires between namespaces for tests of network interfaces.

load ../tap/tap

# wire NS1 IF1 NS2 IF2: a veth pair, both ends up. The kernel leaves nothing to hardware: what a program reads is what a wire would carry.
wire()
{
	ip -n "$1" link add "$2" type veth peer name "$4" netns "$3"
	ip -n "$1" link set dev "$2" up
	ip -n "$3" link set dev "$4" up
	in_ns "$1" ethtool -K "$2" tx off tso off gso off gro off >/dev/null
	in_ns "$3" ethtool -K "$4" tx off tso off gso off gro off >/dev/null
}

# bridged: hosts a (10.7.0.1) and b (10.7.0.2), each at a wire to namespace m, where netmap programs take the wires' ends ma and mb
bridged()
{
	make_ns a m b
	wire "$ns_a" w0 "$ns_m" ma
	wire "$ns_b" w0 "$ns_m" mb
	address "$ns_a" w0 10.7.0.1/24
	address "$ns_b" w0 10.7.0.2/24
	end_a="ma%$ns_m" end_b="mb%$ns_m"
}

# start_bridge: nm-bridge between the two
start_bridge()
{
	start bridge "[Rr]eady\|zero" "$BUILD/tools/nm-bridge/nm-bridge" -i "netmap:$end_a" -i "netmap:$end_b" -w 0 -v
	BRIDGE=$PID
}

# interface_field PORT FIELD
interface_field()
{
	json "next(p for p in d['ports'] if p['name'] == '$1')['interface']['$2']" show ports
}

# sent_by NAME: frames that pkt-gen says it has sent or received
moved_by()
{
	sed -n 's/^\(Sent\|Received\) \([0-9]*\) packets.*/\2/p' "$DIR/$1.out" "$DIR/$1.err" | tail -1
}
