package netbios

// Form tells which of the packets of RFC 1002, Section 4.2 a message is.
type Form uint8

// The forms, in the order of RFC 1002, Sections 4.2.2 to 4.2.18. FormMultihomed came with Windows.
const (
	FormUnknown Form = iota
	FormRegistration
	FormMultihomed
	FormOverwrite
	FormRefresh
	FormPositiveRegistration
	FormNegativeRegistration
	FormEndNodeChallenge
	FormConflictDemand // also a negative registration response with CFT_ERR: the octets are the same
	FormRelease
	FormPositiveRelease
	FormNegativeRelease
	FormQuery
	FormPositiveQuery
	FormNegativeQuery
	FormRedirect
	FormWack
	FormNodeStatusRequest
	FormNodeStatusResponse
)

var formNames = [...]string{
	FormUnknown:              "unknown",
	FormRegistration:         "registration",
	FormMultihomed:           "multihomed",
	FormOverwrite:            "overwrite",
	FormRefresh:              "refresh",
	FormPositiveRegistration: "positive-registration",
	FormNegativeRegistration: "negative-registration",
	FormEndNodeChallenge:     "end-node-challenge",
	FormConflictDemand:       "conflict-demand",
	FormRelease:              "release",
	FormPositiveRelease:      "positive-release",
	FormNegativeRelease:      "negative-release",
	FormQuery:                "query",
	FormPositiveQuery:        "positive-query",
	FormNegativeQuery:        "negative-query",
	FormRedirect:             "redirect",
	FormWack:                 "wack",
	FormNodeStatusRequest:    "node-status-request",
	FormNodeStatusResponse:   "node-status-response",
}

// String returns the form as a short stable label.
func (f Form) String() string {
	if int(f) < len(formNames) {
		return formNames[f]
	}
	return formNames[FormUnknown]
}

// Form returns the form of m. It looks at the header and at the type of the first question or record,
// and does not check the rest; ParseRequest does that for requests.
func (m Message) Form() Form {
	if !m.IsResponse() {
		return m.requestForm()
	}
	switch m.Opcode {
	case OpRegistration, OpRefresh, OpRefreshAlt, OpMultihomed:
		return m.registrationResponseForm()
	case OpRelease:
		if m.Rcode == RcodeOK {
			return FormPositiveRelease
		}
		return FormNegativeRelease
	case OpWack:
		return FormWack
	case OpQuery:
		return m.queryResponseForm()
	}
	return FormUnknown
}

func (m Message) requestForm() Form {
	switch m.Opcode {
	case OpRegistration:
		// An overwrite is a registration without RD, RFC 1002, Section 4.2.3.
		if m.Flags&FlagRecursionDesired == 0 {
			return FormOverwrite
		}
		return FormRegistration
	case OpMultihomed:
		return FormMultihomed
	case OpRefresh, OpRefreshAlt:
		return FormRefresh
	case OpRelease:
		return FormRelease
	case OpQuery:
		return m.queryForm()
	}
	return FormUnknown
}

func (m Message) queryForm() Form {
	if len(m.Questions) == 0 {
		return FormUnknown
	}
	switch m.Questions[0].Type {
	case TypeNB:
		return FormQuery
	case TypeNBSTAT:
		return FormNodeStatusRequest
	}
	return FormUnknown
}

func (m Message) registrationResponseForm() Form {
	switch {
	case m.Rcode == RcodeConflict:
		return FormConflictDemand
	case m.Rcode != RcodeOK:
		return FormNegativeRegistration
	case m.Flags&FlagRecursionAvailable == 0:
		// RA set ends the registration, RA clear asks the node to challenge the owner itself,
		// RFC 1002, Sections 4.2.5 and 4.2.7.
		return FormEndNodeChallenge
	}
	return FormPositiveRegistration
}

func (m Message) queryResponseForm() Form {
	switch {
	case m.Rcode != RcodeOK:
		return FormNegativeQuery
	case hasType(m.Answers, TypeNB):
		return FormPositiveQuery
	case hasType(m.Answers, TypeNBSTAT):
		return FormNodeStatusResponse
	case hasType(m.Authority, TypeNS):
		return FormRedirect
	}
	return FormUnknown
}

func hasType(records []Record, t Type) bool { return len(records) > 0 && records[0].Type == t }
