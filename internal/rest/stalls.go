package rest

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"maillon/internal/auth"
	"maillon/internal/member"
	"maillon/internal/merchant"
	"maillon/internal/money"
	"maillon/internal/otp"
	"maillon/internal/stall"
	"maillon/internal/stall/counter"
	"maillon/internal/trade/object"
)

// The problems of stalls.
var (
	problemNoTemplate = problemOf(http.StatusNotFound, "template_not_found", "there is no such template of this merchant")
	problemNoDevice   = problemOf(http.StatusNotFound, "otp_device_not_found", "there is no such device of this merchant")
	problemNoStall    = problemOf(http.StatusConflict, "stall_missing", "the merchant has no member with an open account, whom buyers could pay: ask the association")
)

// stallKnown is the table of the errors of stalls.
var stallKnown = []known{
	{stall.ErrNoStall, problemNoStall},
	{stall.ErrDescription, problemOf(http.StatusUnprocessableEntity, "description", "a description has 1 to 40 letters that an SMS can have (GSM-7), in one line")},
	{stall.ErrPrice, problemOf(http.StatusUnprocessableEntity, "amount", "a price is more than 0 and at most what one payment may be; null lets buyers say it")},
	{stall.ErrUnit, problemOf(http.StatusUnprocessableEntity, "currency", "this association has no such currency")},
	{stall.ErrShort, problemOf(http.StatusConflict, "short_taken", "a short id is a digit, two letters and a digit such as 7KQ2, and nothing else has it")},
	{stall.ErrFull, problemOf(http.StatusConflict, "stall_full", "a stall offers at most 100 templates and has at most 3 devices: end or revoke one first")},
	{stall.ErrAlgorithm, problemOf(http.StatusUnprocessableEntity, "algorithm", "an algorithm is numbered, totp or totp_price")},
	{counter.ErrNumber, problemOf(http.StatusConflict, "number_missing", "no gateway has a number that buyers could text: ask the association")},
	{stall.ErrEnded, problemOf(http.StatusConflict, "otp_device_revoked", "the device is revoked: add another")},
	{otp.ErrCurrency, problemOf(http.StatusUnprocessableEntity, "currency", "totp_price has no room for this currency: take numbered")},
	{otp.ErrKey, problemOf(http.StatusUnprocessableEntity, "otp_key", "an otp_key is base32 (RFC 3548), 16 to 103 letters A to Z and digits 2 to 7")},
}

// The prefixes of what stalls have.
const (
	templateID object.Prefix = "tpl_"
	deviceID   object.Prefix = "otp_"
)

// stallPaths are for merchants who sell where there is no network.
func (h *Handler) stallPaths() map[string]operations {
	const get, post = http.MethodGet, http.MethodPost
	read, write := auth.TemplatesRead, auth.TemplatesWrite
	return map[string]operations{
		"/v1/templates":                 {get: h.look(read, h.listTemplates), post: onceOp(h, write, h.postTemplate)},
		"/v1/templates/{id}":            {get: h.look(read, h.getTemplate)},
		"/v1/templates/{id}/poster.svg": {get: h.poster("svg")},
		"/v1/templates/{id}/poster.pdf": {get: h.poster("pdf")},
		"/v1/templates/{id}/end":        {post: onceOp(h, write, bare(h.endTemplate))},
		"/v1/otp_devices":               {get: h.look(read, h.listDevices), post: onceOp(h, write, h.postDevice)},
		"/v1/otp_devices/{id}":          {get: h.look(read, h.getDevice)},
		"/v1/otp_devices/{id}/codes":    {get: h.look(write, h.getCodes)},
		"/v1/otp_devices/{id}/revoke":   {post: onceOp(h, write, bare(h.revokeDevice))},
	}
}

// stallOf returns the stall of whose key it is.
func stallOf(c *call) (stall.ID, error) {
	switch {
	case c.m.Suspended && c.r.Method != http.MethodGet:
		return 0, merchant.ErrSuspended
	case c.m.Test:
		return stall.Twin(c.m.ID), nil
	case c.m.Member == 0:
		return 0, problemNoStall
	}
	return stall.Of(member.ID(c.m.Member)), nil
}

// A templateView is a template as the API shows it.
type templateView struct {
	Object      string    `json:"object"`
	ID          string    `json:"id"`
	Livemode    bool      `json:"livemode"`
	ShortID     string    `json:"short_id"`
	Description string    `json:"description"`
	Amount      *int64    `json:"amount"`
	Currency    string    `json:"currency"`
	Ended       bool      `json:"ended"`
	CreatedAt   time.Time `json:"created_at"`
}

func showTemplate(t *stall.Template) (templateView, error) {
	v := templateView{
		Object: "template", ID: templateID.Of(t.ID), Livemode: t.Stall > 0, ShortID: t.Short, Description: t.Description,
		Currency: t.Currency.Code, Ended: t.Ended, CreatedAt: t.Created.UTC(),
	}
	if t.Amount > 0 {
		v.Amount = &t.Amount
	}
	return v, nil
}

// A templateRequest is something to sell.
type templateRequest struct {
	Description string `json:"description"`
	Amount      *int64 `json:"amount,omitempty"`
	Currency    string `json:"currency,omitempty"`
	ShortID     string `json:"short_id,omitempty"`
}

func (h *Handler) postTemplate(ctx context.Context, c *call, q templateRequest) (answer, error) {
	id, err := stallOf(c)
	if err != nil {
		return answer{}, err
	}
	n := stall.NewTemplate{Description: q.Description, Unit: q.Currency, Short: q.ShortID}
	if q.Amount != nil {
		if n.Amount = *q.Amount; n.Amount == 0 {
			return answer{}, stall.ErrPrice
		}
	}
	t, err := h.stalls.AddTemplate(ctx, c.tx, c.by, id, n)
	if err != nil {
		return answer{}, err
	}
	v, err := showTemplate(t)
	if err != nil {
		return answer{}, err
	}
	return created(v, "/v1/templates/"+v.ID)
}

func (h *Handler) template(ctx context.Context, c *call) (id stall.ID, t *stall.Template, err error) {
	if id, err = stallOf(c); err != nil {
		return 0, nil, err
	}
	n, err := pathID(c, templateID, problemNoTemplate)
	if err != nil {
		return 0, nil, err
	}
	t, err = h.stalls.Template(ctx, c.tx, id, n)
	return id, t, found(err, problemNoTemplate)
}

func (h *Handler) getTemplate(ctx context.Context, c *call) (answer, error) {
	_, t, err := h.template(ctx, c)
	if err != nil {
		return answer{}, err
	}
	v, err := showTemplate(t)
	if err != nil {
		return answer{}, err
	}
	return ok(v)
}

func (h *Handler) endTemplate(ctx context.Context, c *call) (answer, error) {
	id, t, err := h.template(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if t, err = h.stalls.EndTemplate(ctx, c.tx, c.by, id, t.ID); err != nil {
		return answer{}, err
	}
	v, err := showTemplate(t)
	if err != nil {
		return answer{}, err
	}
	return ok(v)
}

func (h *Handler) listTemplates(ctx context.Context, c *call) (answer, error) {
	l, err := readList(c.r, string(templateID), nil)
	if err != nil {
		return answer{}, err
	}
	id, err := stallOf(c)
	if err != nil {
		return answer{}, err
	}
	all, err := h.stalls.Templates(ctx, c.tx, id, true)
	if err != nil {
		return answer{}, err
	}
	for len(all) > 0 && all[0].ID <= l.after {
		all = all[1:]
	}
	return shown(all, l.limit, showTemplate, func(v templateView) string { return v.ID })
}

// A deviceView is a device as the API shows it.
type deviceView struct {
	Object       string        `json:"object"`
	ID           string        `json:"id"`
	Livemode     bool          `json:"livemode"`
	Label        string        `json:"label"`
	Description  string        `json:"description"`
	Algorithm    otp.Algorithm `json:"algorithm"`
	Currency     string        `json:"currency"`
	State        string        `json:"state"`
	Link         *string       `json:"enrolment_path"` // shown once
	EnrolledAt   *time.Time    `json:"enrolled_at"`
	LastReportAt *time.Time    `json:"last_report_at"`
	CreatedAt    time.Time     `json:"created_at"`
}

func showDevice(d *stall.Device) (deviceView, error) {
	return deviceView{
		Object: "otp_device", ID: deviceID.Of(d.ID), Livemode: d.Stall > 0, Label: d.Label, Description: d.Description, Algorithm: d.Algorithm,
		Currency: d.Currency.Code, State: d.State, EnrolledAt: moment(d.Enrolled), LastReportAt: moment(d.Reported), CreatedAt: d.Created.UTC(),
	}, nil
}

// A deviceRequest is a device to enrol.
type deviceRequest struct {
	Description string        `json:"description"`
	Algorithm   otp.Algorithm `json:"algorithm,omitempty"`
	Currency    string        `json:"currency,omitempty"`
	Key         string        `json:"otp_key,omitempty"` // of a device that has one; base32
}

// linkPath is where the page of a stall is; what comes after "#" is no part of
// what is asked of a server.
const linkPath = "/stall/#"

func (h *Handler) postDevice(ctx context.Context, c *call, q deviceRequest) (answer, error) {
	id, err := stallOf(c)
	if err != nil {
		return answer{}, err
	}
	n := stall.NewDevice{Description: q.Description, Algorithm: q.Algorithm, Unit: q.Currency}
	if q.Key != "" {
		if n.Key, err = otp.ParseKey(q.Key); err != nil {
			return answer{}, err
		}
	}
	d, token, err := h.stalls.AddDevice(ctx, c.tx, c.by, id, n)
	if err != nil {
		return answer{}, err
	}
	v, err := showDevice(d)
	if err != nil {
		return answer{}, err
	}
	if token != "" {
		link := linkPath + token
		v.Link = &link
	}
	return created(v, "/v1/otp_devices/"+v.ID)
}

func (h *Handler) device(ctx context.Context, c *call) (id stall.ID, d *stall.Device, err error) {
	if id, err = stallOf(c); err != nil {
		return 0, nil, err
	}
	n, err := pathID(c, deviceID, problemNoDevice)
	if err != nil {
		return 0, nil, err
	}
	d, err = h.stalls.Device(ctx, c.tx, id, n)
	return id, d, found(err, problemNoDevice)
}

func (h *Handler) getDevice(ctx context.Context, c *call) (answer, error) {
	_, d, err := h.device(ctx, c)
	if err != nil {
		return answer{}, err
	}
	v, err := showDevice(d)
	if err != nil {
		return answer{}, err
	}
	return ok(v)
}

func (h *Handler) revokeDevice(ctx context.Context, c *call) (answer, error) {
	id, d, err := h.device(ctx, c)
	if err != nil {
		return answer{}, err
	}
	if d, err = h.stalls.Revoke(ctx, c.tx, c.by, id, d.ID); err != nil {
		return answer{}, err
	}
	v, err := showDevice(d)
	if err != nil {
		return answer{}, err
	}
	return ok(v)
}

func (h *Handler) listDevices(ctx context.Context, c *call) (answer, error) {
	l, err := readList(c.r, string(deviceID), nil)
	if err != nil {
		return answer{}, err
	}
	id, err := stallOf(c)
	if err != nil {
		return answer{}, err
	}
	all, err := h.stalls.Devices(ctx, c.tx, id)
	if err != nil {
		return answer{}, err
	}
	for len(all) > 0 && all[0].ID <= l.after {
		all = all[1:]
	}
	return shown(all, l.limit, showDevice, func(v deviceView) string { return v.ID })
}

// A codesView is which codes a device lets through at a time that was asked for.
type codesView struct {
	Object    string   `json:"object"`
	Device    string   `json:"otp_device"`
	Timestamp int64    `json:"otp_timestamp"`
	Codes     []string `json:"otp_codes"`
}

// maxFakeTime bounds the time of a trial, in seconds: the year 2242.
const maxFakeTime = 1 << 33

// getCodes says what a payment of some time, price and number would have: for
// whoever tries a device.
func (h *Handler) getCodes(ctx context.Context, c *call) (answer, error) {
	at, amount, number := c.tx.Now().Unix(), int64(0), int64(0)
	within := func(to *int64, most int64) func(string) bool {
		return func(v string) bool {
			n, err := strconv.ParseInt(v, 10, 64)
			*to = n
			return err == nil && n >= 0 && n <= most
		}
	}
	err := readQuery(c.r, filters{"faketime": within(&at, maxFakeTime), "amount": within(&amount, 1<<53), "number": within(&number, otp.Numbers-1)})
	if err != nil {
		return answer{}, err
	}
	_, d, err := h.device(ctx, c)
	if err != nil {
		return answer{}, err
	}
	codes, err := h.stalls.Code(ctx, c.tx, d, time.Unix(at, 0), int(number), money.New(amount, d.Currency))
	if err != nil {
		return answer{}, err
	}
	return ok(codesView{Object: "otp_codes", Device: deviceID.Of(d.ID), Timestamp: at, Codes: codes})
}
