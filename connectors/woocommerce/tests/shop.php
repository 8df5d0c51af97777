<?php
// A shop that tests play: the plugin as it is installed, orders, clients who pay.

require __DIR__ . '/wordpress.php';
require dirname( __DIR__ ) . '/maillon-cod.php';

use Maillon\Cod\Gateway;
use const Maillon\Cod\METHOD;

final class Failed extends Exception {
}

function same( $want, $got, string $what = '' ): void {
	if ( $want !== $got ) {
		throw new Failed( "$what: got " . var_export( $got, true ) . ', want ' . var_export( $want, true ) );
	}
}
function says( string $part, string $text ): void {
	if ( ! str_contains( $text, $part ) ) {
		throw new Failed( "\"$text\" does not say \"$part\"" );
	}
}
function never( string $part, string $text ): void {
	if ( str_contains( $text, $part ) ) {
		throw new Failed( "\"$text\" says \"$part\"" );
	}
}

/** The payment method of a shop that is set up. */
function gateway( array $settings = array() ): Gateway {
	World::$options[ 'woocommerce_' . METHOD . '_settings' ] = $settings + array( 'enabled' => 'yes', 'title' => 'Cash on delivery', 'url' => World::$maillon['url'], 'key' => World::$maillon['key'], 'policy' => World::$maillon['policy'], 'on_outage' => 'policy' );
	WC()->forget();
	return WC()->payment_gateways()->payment_gateways()[ METHOD ];
}

/** An order that stands before its payment. */
function order( string $goods = '189.00', string $method = METHOD, int $customer = 0, string $phone = '+212600000001', array $shipping = array( 'method' => 'flat_rate', 'instance' => 1 ) ): WC_Order {
	$id = World::$next++;
	return World::$orders[ $id ] = new WC_Order( $id, $goods, $method, $customer, $phone, $shipping );
}

/** The client sends the checkout; returns what she reads if it is refused. */
function pay( Gateway $gateway, WC_Order $order, ?string $code = CODE ): string {
	$_POST = null === $code ? array() : array( 'maillon_code' => $code );
	try {
		$result = $gateway->process_payment( $order->get_id() );
	} catch ( Exception $refusal ) {
		return $refusal->getMessage();
	}
	same( 'success', $result['result'] );
	return '';
}

/** The time for what was put off has come. */
function later(): void {
	$events         = World::$events;
	World::$events = array();
	foreach ( $events as list( , $hook, $arguments ) ) {
		do_action( $hook, ...$arguments );
	}
}

/** Runs tests, each in a fresh shop, and ends with whether all went well. */
function play( array $tests, callable $before ): never {
	$failed = 0;
	foreach ( $tests as $name => $test ) {
		World::fresh();
		try {
			$test( $before() );
			echo "ok    $name\n";
		} catch ( Throwable $error ) {
			++$failed;
			echo "FAIL  $name\n      {$error->getMessage()}\n      {$error->getFile()}:{$error->getTrace()[0]['line']}\n";
		}
	}
	printf( "%d tests, %d failed\n", count( $tests ), $failed );
	exit( $failed > 0 ? 1 : 0 );
}
