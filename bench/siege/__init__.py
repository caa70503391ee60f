"""A siege: hostile senders of every kind against the whole stack, under the memory limits that
it is shipped with, while honest devices converse and must notice nothing (`make siege MINUTES=3`).

- `shipped`    the limits of docker-compose.yml
- `cage`       holds processes to them: by a cgroup, or by a watcher that kills as the kernel would
- `honest`     devices that converse, and hold each answer against the model's own text
- `attack`     what an attack is; the attacks: `accounts`, `anonymous`, `sockets`, `rest`, `flood`
- `wire`       a raw WebSocket client: what is sent need not be what the protocol allows
- `attackers`  the processes that attack
- `run`        one siege, `judge` what is held against it

How fast the attackers are. They run beside the stack on the same few cores, which real ones do
not. What they compute must not be what the honest devices wait for, so they have nice 19: a service
that can run takes the processor from them at once. It is the whole attack still. Frames are made
and masked before they are sent, so that one costs an attacker a `send` and the stack all of its
parsing; loops do not wait between frames but for the stack to read; and what they got off is
counted, so that a siege whose attackers came to nothing is no good siege. What an idle stack does
not take in is not an attack on it.

The calm ping is measured first, with the honest devices alone, in the same run.
"""
