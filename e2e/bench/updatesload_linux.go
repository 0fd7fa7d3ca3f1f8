package main

import (
	"fmt"
	"time"

	"github.com/miekg/dns"
)

// updateLoad is a kind of load: so many updates on their way at any time.
type updateLoad struct {
	outstanding int
	stream      bool // over TCP
}

var updateLoads = []updateLoad{{1, false}, {32, false}, {256, false}, {1, true}}

func (l updateLoad) String() string {
	if l.stream {
		return fmt.Sprintf("%d outstanding over TCP", l.outstanding)
	}
	return fmt.Sprintf("%d outstanding", l.outstanding)
}

// updateBlock is how many records are added before they are deleted again, so that the zone stays as it is. It
// is more than are outstanding: no deletion overtakes its addition.
const updateBlock = 500

// nthChange adds a block of records, deletes them, adds them again, and so on.
func nthChange(n, block int) change {
	return change{name: n % block, deletes: n/block%2 == 1}
}

// updateRun is what came of a load.
type updateRun struct {
	noerror int
	others  map[int]int // responses by rcode
	lost    int
	rate    float64 // NOERRORs a second
	times   samples // ms to each NOERROR
}

// loadUpdates keeps a server busy. It never sleeps, which would be at the server's cost, and runs on the load's core.
func (l updateLoad) run(s *updateServer, load time.Duration) (run updateRun, err error) {
	c, err := dialUpdates(s.addr, l.stream)
	if err != nil {
		return run, err
	}
	defer c.close()
	err = onCore(loadCore(), func() error {
		run, err = l.keepBusy(c, s, load)
		return err
	})
	return run, err
}

func (l updateLoad) keepBusy(c *updateConn, s *updateServer, load time.Duration) (updateRun, error) {
	run := updateRun{others: map[int]int{}, times: make(samples, 0, 1<<18)}
	var sent [1 << 16]time.Duration // by id; 0: nobody waits for it
	var queue waits
	began, waiting := time.Now(), 0
	for {
		now := time.Since(began)
		for ; waiting < l.outstanding && now < load; waiting++ {
			if err := c.send(nthChange(s.next, updateBlock)); err != nil {
				return run, err
			}
			s.next++
			now = time.Since(began)
			sent[c.id] = now
			queue.push(wait{c.id, now + longest})
		}
		if waiting == 0 {
			return run, nil
		}
		id, rcode, ok, err := c.receive(false)
		if err != nil {
			return run, err
		}
		now = time.Since(began)
		if ok && sent[id] != 0 {
			run.note(rcode, now-sent[id], now)
			sent[id] = 0
			waiting--
			continue
		}
		if w, due := queue.due(now, func(w wait) bool { return sent[w.id] == w.until-longest }); due {
			sent[w.id] = 0
			waiting--
			run.lost++
		}
	}
}

// note counts a response. The rate is up to the last NOERROR.
func (r *updateRun) note(rcode int, took, now time.Duration) {
	if rcode != dns.RcodeSuccess {
		r.others[rcode]++
		return
	}
	r.noerror++
	r.times.addTime(took)
	r.rate = float64(r.noerror) / now.Seconds()
}
