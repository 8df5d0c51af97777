<?php
// As much of maillon's API as the plugin asks, for PHP's own server, with what a
// test can break. The rules themselves are maillon's.

$file = getenv( 'FAKE_STATE' );
$lock = fopen( $file, 'c+' );
flock( $lock, LOCK_EX );
$state = json_decode( stream_get_contents( $lock ), true );

$path = parse_url( $_SERVER['REQUEST_URI'], PHP_URL_PATH );
$text = file_get_contents( 'php://input' );
$body = json_decode( $text, true );
$once = $_SERVER['HTTP_IDEMPOTENCY_KEY'] ?? null;

$state['asked'][] = array( 'path' => $path, 'body' => $body, 'once' => $once, 'key' => $_SERVER['HTTP_AUTHORIZATION'] ?? '' );
$fault            = $state['fault'] ?? '';
$hit              = '' !== $fault && ( '' === ( $state['fault_at'] ?? '' ) || str_ends_with( $path, $state['fault_at'] ) );

$done = static function ( int $status, ?array $answer ) use ( &$state, $lock, $fault, $hit ): never {
	if ( $hit && 'lost once' === $fault ) {
		$state['fault']          = '';
		list( $status, $answer ) = array( 502, array() );
	}
	rewind( $lock );
	ftruncate( $lock, 0 );
	fwrite( $lock, json_encode( $state ) );
	fflush( $lock );
	http_response_code( $status );
	header( 'Content-Type: application/json' );
	echo null === $answer ? '<html>' : json_encode( $answer );
	exit;
};
$problem = static fn( int $status, string $code, array $more = array() ) => $done( $status, array( 'status' => $status, 'title' => $code, 'code' => $code, 'detail' => $code ) + $more );

if ( $hit && 'down' === $fault ) {
	$done( 503, array() );
}
if ( $hit && 'no JSON' === $fault ) {
	$done( 200, null );
}
if ( $hit && 'elsewhere' === $fault ) {
	header( 'Location: /stolen' );
	$done( 302, array() );
}
if ( $hit && 'busy' === $fault ) {
	$problem( 429, 'rate_limited' );
}
if ( $hit && 'guessed' === $fault ) {
	$problem( 429, 'too_many_attempts' );
}
if ( $hit && 'scope' === $fault ) {
	$problem( 403, 'scope_missing' );
}
if ( 'POST' === $_SERVER['REQUEST_METHOD'] && '/v1/authorizations/check' !== $path ) {
	if ( null === $once || 1 !== preg_match( '/^[!-~]{1,255}$/', $once ) ) {
		$problem( 400, 'idempotency_key_missing' );
	}
	if ( ( $state['keys'][ $once ] ?? $path . $text ) !== $path . $text ) {
		$problem( 422, 'idempotency_key_reused' );
	}
	$state['keys'][ $once ] = $path . $text;
}

$policy = $state['policy'];
$send   = array( 'short_code' => '2121', 'keyword' => 'SOUK', 'text' => 'SOUK', 'messages' => 2, 'price' => 1000, 'currency' => 'MAD', 'rails' => array( 'premium_sms' ) );
$find   = static fn( string $ref ) => current( array_filter( $state['claims'], fn( $claim ) => $claim['order_ref'] === $ref ) );
$why    = static function () use ( $body, $state, $find ): string {
	$claim = $find( $body['order_ref'] );
	if ( $claim ) {
		return $claim['order_total'] === $body['order_total'] ? '' : 'order_ref_conflict';
	}
	$who = str_replace( array( ' ', '-' ), '', $body['code'] ?? $body['phone'] ?? $body['username'] );
	if ( ! in_array( $who, $state['known'], true ) ) {
		return 'authorization_not_found';
	}
	return $state['left'] > 0 ? '' : 'authorization_exhausted';
};

if ( "/v1/policies/{$policy['id']}" === $path ) {
	$done( 200, $policy );
}
if ( '/v1/authorizations' === $path ) {
	$done( 201, array( 'object' => 'authorization', 'status' => 'pending', 'instructions' => array( 'text' => "SOUK {$body['username']} 4821" ) + $send ) );
}
if ( '/v1/authorizations/check' === $path ) {
	$reason = $why();
	$done( 200, array( 'object' => 'check', 'allowed' => '' === $reason, 'reason' => '' === $reason ? null : $reason, 'instructions' => '' === $reason ? null : $send ) );
}
if ( '/v1/claims' === $path && 'POST' === $_SERVER['REQUEST_METHOD'] ) {
	$reason = $why();
	$claim  = $find( $body['order_ref'] );
	if ( '' !== $reason ) {
		$problem( 409, $reason );
	}
	if ( $claim ) {
		$done( 200, $claim );
	}
	--$state['left'];
	$claim = array(
		'object' => 'claim', 'id' => 'clm_' . ( count( $state['claims'] ) + 1 ), 'order_ref' => $body['order_ref'], 'order_total' => $body['order_total'],
		'currency' => $body['currency'], 'delivery' => $body['delivery'], 'pickup_point' => $body['pickup_point'] ?? null, 'status' => 'reserved',
		'advance_amount' => $policy['advance_per_order'], 'cash_due' => $body['order_total'] - $policy['advance_per_order'],
	);
	$state['claims'][] = $claim;
	$done( 201, $claim );
}
if ( '/v1/claims' === $path ) {
	$claim = $find( $_GET['order_ref'] );
	$done( 200, array( 'data' => $claim ? array( $claim ) : array() ) );
}
if ( preg_match( '#^/v1/claims/(clm_\d+)/(\w+)$#', $path, $parts ) ) {
	foreach ( $state['claims'] as &$claim ) {
		if ( $claim['id'] !== $parts[1] ) {
			continue;
		}
		$next = array( 'confirm' => 'open', 'honour' => 'honoured', 'release' => 'released', 'not_honoured' => 'not_honoured', 'withdraw' => 'withdrawn' )[ $parts[2] ];
		if ( 'not_honoured' === $next && ( '' === ( $body['reason'] ?? '' ) || array() === ( $body['evidence'] ?? array() ) ) ) {
			$problem( 422, 'reason' );
		}
		if ( $claim['status'] !== $next && ! in_array( $claim['status'], array( 'reserved', 'open' ), true ) ) {
			$problem( 409, 'wrong_state', array( 'state' => $claim['status'] ) );
		}
		$claim['status'] = $next;
		$claim          += (array) $body;
		$state['left']  += 'released' === $next ? 1 : 0;
		$done( 200, $claim );
	}
	$problem( 404, 'claim_not_found' );
}
$problem( 404, 'not_found' );
