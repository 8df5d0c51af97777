package otp

// PricedKey is the key that codes of a price are made with.
var PricedKey = Key.priced
