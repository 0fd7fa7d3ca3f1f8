package registry

import "context"

// Claim takes sources' claims under one commit and returns the outcome of each when those that were
// accepted are on stable storage. While the store fails they take effect in memory, because a failover
// must not fail for a full disk; the snapshot's StoreErr says so.
func (r *Registry) Claim(ctx context.Context, claims ...Claim) ([]Outcome, error) {
	outcomes := make([]Outcome, len(claims))
	err := r.ask(ctx, false, func(ch *change) error {
		for i, cl := range claims {
			outcomes[i] = ch.claim(cl)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, o := range outcomes {
		r.claims[o].Add(1)
		if o > Renewed {
			r.log.Warn().Str("role", claims[i].Role).Str("origin", claims[i].Origin).Strs("holder", claims[i].Nodes).
				Uint64("epoch", claims[i].Epoch).Stringer("outcome", o).Msg("claim not followed")
		}
	}
	return outcomes, nil
}

func (ch *change) claim(cl Claim) Outcome {
	id, role, err := ch.role(cl.Role)
	if err != nil {
		return UnknownRole
	}
	c, outcome := ch.cell(id).take(role, cl, ch.drained, ch.now)
	ch.put(id, c)
	return outcome
}

// Complain takes what sources cannot say. A role that the world does not have is passed over.
func (r *Registry) Complain(ctx context.Context, troubles ...Trouble) error {
	return r.ask(ctx, false, func(ch *change) error {
		for _, t := range troubles {
			if id, _, err := ch.role(t.Role); err == nil {
				ch.put(id, ch.cell(id).complain(t))
			}
		}
		return nil
	})
}
