package config

import (
	"slices"
	"strings"
)

// Keys lists every key of the file as a path: "clusters[].roles[].ttl". [] is an element of a list, *
// a key that people choose. Tests compare it with the JSON Schema and the reference configuration.
func Keys() []string {
	var all []string
	add := func(prefix string, keys []string, more ...string) {
		for _, k := range append(keys, more...) {
			all = append(all, strings.TrimPrefix(prefix+"."+k, "."))
		}
	}
	add("", fileShape.Keys())
	add("classes", nil, "*")
	add("clusters[]", clusterShape.Keys())
	add("clusters[].nodes", nil, "*")
	add("clusters[].nodes.*", nodeShape.Keys(), "*")
	add("clusters[].defaults", defaultsShape.Keys())
	add("clusters[].roles[]", roleShape.Keys())
	for _, role := range []string{"clusters[].defaults", "clusters[].roles[]"} {
		add(role+".source", sourceShape.Keys())
		add(role+".source.operator", operatorShape.Keys())
		add(role+".source.probe", probeShape.Keys())
	}
	add("zones[]", zoneShape.Keys())
	add("zones[].ns", nil, "*")
	add("zones[].notify[]", secondaryShape.Keys())
	add("updates", updatesShape.Keys())
	add("updates.gates[]", gateShape.Keys())
	add("updates.gates[].identity", identityShape.Keys())
	add("updates.kerberos", acceptorShape.Keys())
	add("updates.limits", updateLimitsShape.Keys())
	add("push", pushShape.Keys())
	add("push.stream", streamShape.Keys())
	add("push.stream.limits", streamLimitsShape.Keys())
	add("push.targets[]", targetShape.Keys())
	add("push.targets[].hook", hookShape.Keys())
	add("push.targets[].update", updateShape.Keys())
	add("push.targets[].update.identity", identityShape.Keys())
	add("push.targets[].wins", winsTargetShape.Keys())
	add("push.targets[].hook.verify", verifyShape.Keys())
	add("push.targets[].webhook", webhookShape.Keys())
	add("push.targets[].webhook.verify", verifyShape.Keys())
	add("push.targets[].arp", arpShape.Keys())
	add("push.targets[].cache", cacheShape.Keys())
	add("netbios", netbiosShape.Keys())
	add("netbios.listen[]", listenShape.Keys())
	add("netbios.node_status", statusShape.Keys())
	add("netbios.wins", winsShape.Keys())
	add("netbios.wins.limits", limitsShape.Keys())
	add("netbios.wrepl", wreplShape.Keys())
	add("netbios.wrepl.partners[]", partnerShape.Keys())
	add("answers", answersShape.Keys())
	add("answers.rebinding", rebindingShape.Keys())
	add("control", controlShape.Keys())
	add("store", storeShape.Keys())
	add("store.etcd", etcdShape.Keys())
	add("log", logShape.Keys())
	slices.Sort(all)
	return all
}
