package wins

import "github.com/nameward/nameward/netbios"

// demand is a node that is to give up a name.
type demand struct {
	name  netbios.Name
	addrs []IPv4
}

func (w *work) demand(r *Record) {
	if w.d.demand != nil && r.Kind != Group {
		w.demands = append(w.demands, demand{r.Name, addrsOf(r)})
	}
}

// sendDemands sends what a batch that is in force demands, one after the other.
func (w *work) sendDemands() {
	if len(w.demands) == 0 {
		return
	}
	d, list := w.d, w.demands
	d.asking.Go(func() {
		for _, m := range list {
			if d.asks.Err() == nil {
				d.demand(d.asks, m.name, m.addrs)
			}
		}
	})
}
