package nameward

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"
	"time"

	"github.com/rs/zerolog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/nameward/nameward/registry"
	"github.com/nameward/nameward/registry/config"
	"github.com/nameward/nameward/registry/store/bolt"
	"github.com/nameward/nameward/registry/store/etcd"
	"github.com/nameward/nameward/registry/trust"
)

// openStore opens what keeps the roles' state.
func openStore(cfg config.Store, log zerolog.Logger) (registry.Store, error) {
	if len(cfg.Etcd.Endpoints) == 0 {
		return bolt.Open(cfg.Bolt)
	}
	client, err := etcdConfig(&cfg.Etcd)
	if err != nil {
		return nil, fmt.Errorf("store.etcd: %w", err)
	}
	return etcd.Open(client, cfg.Etcd.Prefix, log)
}

// placeOf is what status shows of the store.
func placeOf(cfg config.Store) string {
	if len(cfg.Etcd.Endpoints) == 0 {
		return cfg.Bolt
	}
	return "etcd " + strings.Join(cfg.Etcd.Endpoints, ",") + " " + cfg.Etcd.Prefix
}

// Dead members and half-open connections are found within some seconds.
const (
	etcdDial = 2 * time.Second
	etcdPing = 3 * time.Second
)

func etcdConfig(cfg *config.Etcd) (clientv3.Config, error) {
	c := clientv3.Config{
		Endpoints: cfg.Endpoints, DialTimeout: etcdDial, DialKeepAliveTime: etcdPing, DialKeepAliveTimeout: etcdDial,
		Username: cfg.User, Logger: zap.NewNop(),
	}
	var err error
	if cfg.Password != "" {
		if c.Password, err = trust.Secret(cfg.Password); err != nil {
			return c, err
		}
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if c.TLS.RootCAs, err = trust.Pool(cfg.CA); err != nil {
		return c, err
	}
	if cfg.Certificate != "" {
		own, err := tls.LoadX509KeyPair(cfg.Certificate, cfg.Key)
		if err != nil {
			return c, err
		}
		c.TLS.Certificates = []tls.Certificate{own}
	}
	return c, nil
}

// leads says which guard tells the targets, nil for this one.
func (g *Guard) leads() func() (bool, <-chan struct{}) {
	if shared, ok := g.store.(*etcd.Store); ok {
		return shared.Leads
	}
	return nil
}

// runStore follows a store that others write to.
func (g *Guard) runStore(ctx context.Context) {
	if shared, ok := g.store.(*etcd.Store); ok {
		g.task(ctx, "shared store", shared.Run)
	}
}
