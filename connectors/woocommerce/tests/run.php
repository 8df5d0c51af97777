<?php
// Plays a shop: php tests/run.php. maillon is tests/fake.php, which breaks when
// the test says so; tests/real.php plays with a real one.

require __DIR__ . '/shop.php';

use Maillon\Cod\Api;
use Maillon\Cod\Blocks;
use const Maillon\Cod\METHOD;

const KEY  = 'sk_test_secret';
const CODE = 'SVRDPV5K';

/** maillon, as a test sets and sees it. */
final class Fake {
	public string $url;
	private string $file;
	private $process;

	public function __construct() {
		$this->file = tempnam( sys_get_temp_dir(), 'maillon-fake' );
		$port       = stream_socket_server( 'tcp://127.0.0.1:0' );
		$address    = stream_socket_get_name( $port, false );
		fclose( $port );
		$this->url     = "http://$address";
		$this->process = proc_open( array( PHP_BINARY, '-S', $address, __DIR__ . '/fake.php' ), array( 1 => array( 'file', '/dev/null', 'w' ), 2 => array( 'file', '/dev/null', 'w' ) ), $pipes, null, array( 'FAKE_STATE' => $this->file ) + getenv() );
		$this->start();
		for ( $n = 0; $n < 100 && ! @fsockopen( 'tcp://' . $address ); $n++ ) {
			usleep( 50000 );
		}
	}

	public function start( array $policy = array(), array $more = array() ): void {
		$this->set( $more + array( 'policy' => $policy + array( 'id' => 'pol_1', 'keyword' => 'SOUK', 'short_code' => '2121', 'flow' => 'code', 'messages_required' => 2, 'price' => 1000, 'currency' => 'MAD', 'advance_per_order' => 0, 'on_outage' => 'closed' ), 'known' => array( CODE ), 'left' => 3, 'claims' => array(), 'asked' => array(), 'keys' => array(), 'fault' => '', 'fault_at' => '' ) );
	}

	public function set( array $change ): void {
		file_put_contents( $this->file, json_encode( $change + ( $this->state() ?? array() ) ) );
	}

	public function state(): ?array {
		return json_decode( file_get_contents( $this->file ), true );
	}

	public function claims(): array {
		return $this->state()['claims'];
	}

	public function stop(): void {
		proc_terminate( $this->process );
		unlink( $this->file );
	}
}

$fake = new Fake();
register_shutdown_function( array( $fake, 'stop' ) );

$tests = array();

$tests['who has no code reads what to send, and nothing is ordered'] = function ( Fake $fake ) {
	$order = order();
	says( 'enter the code', pay( gateway(), $order, null ) );
	same( 'pending', $order->get_status() );
	same( array(), $fake->claims() );
	ob_start();
	gateway()->payment_fields();
	$shown = ob_get_clean();
	says( 'Send SOUK by SMS to 2121, 2 times. One SMS costs 10.00 MAD.', $shown );
	says( 'name="maillon_code"', $shown );
};

$tests['a wrong code is refused by the server, with what to send'] = function ( Fake $fake ) {
	$order = order();
	says( 'not known. Send SOUK by SMS to 2121', pay( gateway(), $order, 'AAAA-BBBB' ) );
	same( 'pending', $order->get_status() );
	same( 0, World::$emptied, 'carts emptied' );
	same( array(), $fake->claims() );
};

$tests['a good code lets the order through, and it is confirmed'] = function ( Fake $fake ) {
	$order = order();
	same( '', pay( gateway(), $order, 'SVRD-PV5K' ) );
	same( 'processing', $order->get_status() );
	same( 1, World::$emptied, 'carts emptied' );
	$claim = $fake->claims()[0];
	same( array( 'open', 18900, 'MAD', 'home', 'woo-f617a4-1041' ), array( $claim['status'], $claim['order_total'], $claim['currency'], $claim['delivery'], $claim['order_ref'] ) );
	says( 'To be paid on delivery: 189.00 MAD', implode( ' ', $order->notes ) );
};

$tests['asked again for an order that has its claim, the answer is that claim'] = function ( Fake $fake ) {
	$order = order();
	$fake->start( array( 'advance_per_order' => 1000 ), array( 'left' => 1 ) );
	same( '', pay( gateway(), $order ) );
	same( '', pay( gateway(), $order ) );
	same( 1, count( $fake->claims() ), 'claims' );
	same( 1, count( $order->get_items( 'fee' ) ), 'fees' );
};

$tests['the advance is deducted from what is paid on delivery'] = function ( Fake $fake ) {
	$fake->start( array( 'advance_per_order' => 1005 ) );
	$order = order();
	same( '', pay( gateway(), $order ) );
	same( '178.95', $order->get_total() );
	$fee = current( $order->get_items( 'fee' ) );
	same( array( '-10.05', 'none', 'Advance paid by SMS' ), array( $fee->get_total(), $fee->tax, $fee->get_name() ) );
	same( 18900, $fake->claims()[0]['order_total'] );
};

$tests['no slot left, no order'] = function ( Fake $fake ) {
	$fake->start( array(), array( 'left' => 1 ) );
	same( '', pay( gateway(), order() ) );
	says( 'All the orders', pay( gateway(), order() ) );
	same( 1, count( $fake->claims() ) );
};

$tests['a cart that changed frees its first slot'] = function ( Fake $fake ) {
	$fake->start( array(), array( 'left' => 1 ) );
	$order = order();
	$fake->set( array( 'fault' => 'down', 'fault_at' => '/confirm' ) );
	same( '', pay( gateway(), $order ) );
	$fake->set( array( 'fault' => '' ) );
	$order->change( '99.00' );
	same( '', pay( gateway(), $order ) );
	same( array( 'released', 'open' ), array_column( $fake->claims(), 'status' ) );
	same( 'woo-f617a4-1041.2', $fake->claims()[1]['order_ref'] );
};

$tests['every outcome is told, and only once each'] = function ( Fake $fake ) {
	foreach ( array( 'completed' => 'honoured', 'cancelled' => 'released', 'failed' => 'released', 'withdrawn' => 'withdrawn', 'refunded' => 'released' ) as $status => $want ) {
		$fake->start();
		$order = order();
		pay( gateway(), $order );
		$order->update_status( $status );
		same( $want, $fake->claims()[0]['status'], $status );
	}
	$order = order();
	$fake->start();
	pay( gateway(), $order );
	$order->update_status( 'completed' );
	$asked = count( $fake->state()['asked'] );
	$order->update_status( 'refunded' );
	same( $asked, count( $fake->state()['asked'] ), 'requests: what was honoured stays so' );
	$order->update_status( 'cancelled' );
	says( 'is "honoured" already', end( $order->notes ) );
	same( 'honoured', $fake->claims()[0]['status'] );
};

$tests['not honoured needs a reason and evidence'] = function ( Fake $fake ) {
	$order = order();
	pay( gateway(), $order );
	$order->update_status( 'not-honoured' );
	same( 'processing', $order->get_status() );
	says( 'needs a reason', implode( ' ', $order->notes ) );
	same( 'open', $fake->claims()[0]['status'] );
	$_POST = array( 'maillon_reason' => 'refused at the door', 'maillon_evidence' => "courier 8812\n\n returned 2026-11-28 \n" . str_repeat( 'é', 300 ) );
	do_action( 'woocommerce_process_shop_order_meta', $order->get_id() );
	$order->update_status( 'not-honoured' );
	$claim = $fake->claims()[0];
	same( array( 'not_honoured', 'refused at the door', array( 'courier 8812', 'returned 2026-11-28', str_repeat( 'é', 200 ) ) ), array( $claim['status'], $claim['reason'], $claim['evidence'] ) );
	same( array( 'Not honoured', 'Withdrawn by the client' ), array_values( apply_filters( 'wc_order_statuses', array() ) ) );
};

$tests['while maillon is away nobody orders, or everybody may, as the shop says'] = function ( Fake $fake ) {
	foreach ( array( 'down', 'no JSON', 'elsewhere' ) as $fault ) {
		$fake->start( array(), array( 'fault' => $fault ) );
		$order = order();
		if ( 'elsewhere' === $fault ) { // the shop's own mistake: the key does not follow
			says( 'Paying on delivery is not possible', pay( gateway( array( 'on_outage' => 'closed' ) ), $order ) );
			never( '/stolen', implode( ' ', array_column( $fake->state()['asked'], 'path' ) ) );
			continue;
		}
		says( 'not possible at the moment', pay( gateway( array( 'on_outage' => 'closed' ) ), $order ) );
		same( 'pending', $order->get_status() );
		same( '', pay( gateway( array( 'on_outage' => 'open' ) ), $order ) );
		same( 'processing', $order->get_status() );
		says( 'No deposit and no advance', implode( ' ', $order->notes ) );
		$order->update_status( 'completed' ); // and nothing is told of a claim that is not there
		same( array(), World::$events );
	}
};

$tests['what the policy says of outages is remembered'] = function ( Fake $fake ) {
	$fake->start( array( 'on_outage' => 'open' ) );
	gateway()->hint();
	World::$transients = array();
	$fake->set( array( 'fault' => 'down' ) );
	same( '', pay( gateway(), order() ) );
	$fake->start();
	World::$transients = array();
	gateway()->hint();
	World::$transients = array();
	$fake->set( array( 'fault' => 'down' ) );
	says( 'not possible at the moment', pay( gateway(), order() ) );
};

$tests['what maillon did not hear is told later, in its order'] = function ( Fake $fake ) {
	$order = order();
	gateway()->hint();
	$fake->set( array( 'fault' => 'down', 'fault_at' => '/confirm' ) );
	same( '', pay( gateway(), $order ) );
	same( 'reserved', $fake->claims()[0]['status'] );
	says( 'told again later', implode( ' ', $order->notes ) );
	$order->update_status( 'completed' );
	same( 'reserved', $fake->claims()[0]['status'] );
	later();
	same( 'reserved', $fake->claims()[0]['status'] );
	$fake->set( array( 'fault' => '' ) );
	later();
	same( 'honoured', $fake->claims()[0]['status'] );
	same( '', $order->get_meta( '_maillon_todo' ) );
	later();
	same( array(), World::$events );
};

$tests['telling it ends some time'] = function ( Fake $fake ) {
	$order = order();
	$fake->set( array( 'fault' => 'down', 'fault_at' => '/confirm' ) );
	pay( gateway(), $order );
	for ( $n = 0; $n < 20 && array() !== World::$events; $n++ ) {
		same( 1, count( World::$events ), 'events' );
		later();
	}
	same( 7, $n, 'times' );
	says( 'was not told', end( $order->notes ) );
};

$tests['an answer that is lost does nothing twice'] = function ( Fake $fake ) {
	$fake->set( array( 'fault' => 'lost once', 'fault_at' => '/v1/claims' ) );
	same( '', pay( gateway(), order() ) );
	same( 1, count( $fake->claims() ), 'claims' );
	$keys = array_column( array_filter( $fake->state()['asked'], fn( $asked ) => '/v1/claims' === $asked['path'] ), 'once' );
	same( 2, count( $keys ) );
	same( $keys[0], $keys[1], 'keys' );
};

$tests['what is refused to the shop is in its log, and the client may choose another payment'] = function ( Fake $fake ) {
	gateway()->hint();
	foreach ( array( 'scope' => 'Choose another payment', 'busy' => 'Too much is asked at once', 'guessed' => 'Wait a quarter of an hour' ) as $fault => $want ) {
		$fake->set( array( 'fault' => $fault, 'fault_at' => '/v1/claims' ) );
		says( $want, pay( gateway(), order() ) );
	}
	says( 'scope_missing', implode( ' ', World::$log ) );
};

$tests['by telephone, the number of the address is asked about'] = function ( Fake $fake ) {
	$fake->start( array( 'flow' => 'phone' ), array( 'known' => array( '+212600000001' ) ) );
	same( '', pay( gateway(), order(), null ) );
	says( 'not known', pay( gateway(), order( phone: '+212600000002' ), null ) );
	says( 'give your telephone number', pay( gateway(), order( phone: ' ' ), null ) );
	never( 'maillon_code', (string) json_encode( gateway()->hint() ) );
};

$tests['by account, only who has signed in is asked about, and her account shows what to send'] = function ( Fake $fake ) {
	$fake->start( array( 'flow' => 'username' ), array( 'known' => array( 'u7' ) ) );
	says( 'sign in', pay( gateway(), order( customer: 7 ), null ) );
	World::$user = 7;
	same( '', pay( gateway(), order( customer: 7 ), null ) );
	World::$user = 8;
	says( 'sign in', pay( gateway(), order( customer: 7 ), null ) );
	says( 'Send SOUK u8 4821 by SMS to 2121', pay( gateway(), order( customer: 8 ), null ) );
	says( 'Send SOUK u8 4821 by SMS to 2121', gateway()->hint()['text'] );
};

$tests['pickup points are told apart from the door'] = function ( Fake $fake ) {
	$shop = gateway( array( 'pickups' => "local_pickup:3 = Fes\nflat_rate:9=Rabat" ) );
	foreach ( array( 'local_pickup 3' => array( 'pickup', 'Fes' ), 'flat_rate 9' => array( 'pickup', 'Rabat' ), 'flat_rate 1' => array( 'home', null ) ) as $way => $want ) {
		list( $method, $instance ) = explode( ' ', $way );
		same( '', pay( $shop, order( shipping: array( 'method' => $method, 'instance' => (int) $instance ) ) ) );
		$claims = $fake->claims();
		same( $want, array( end( $claims )['delivery'], end( $claims )['pickup_point'] ), $way );
	}
	pay( $shop, order( shipping: array( 'method' => 'local_pickup', 'instance' => 4 ) ) );
	same( 'pickup', end( $fake->state()['asked'] )['body']['delivery'] ?? 'pickup' );
};

$tests['orders that are paid otherwise are no business of maillon'] = function ( Fake $fake ) {
	$order = order( method: 'bacs' );
	$order->update_status( 'completed' );
	same( array(), $fake->state()['asked'] );
};

$tests['settings that cannot work are refused, with what to write'] = function () {
	$shop = gateway();
	$shop->save( array( 'url' => 'http://maillon.example', 'key' => 'pk_test_x', 'policy' => 'SOUK' ) );
	same( 3, count( World::$errors ) );
	says( 'https://', World::$errors[0] );
	says( 'sk_', World::$errors[1] );
	says( 'pol_3', World::$errors[2] );
	same( KEY, $shop->get_option( 'key' ) );
	same( false, gateway( array( 'key' => '' ) )->is_available() );
	same( false, gateway( array( 'policy' => '' ) )->is_available() );
	same( true, gateway()->is_available() );
};

$tests['neither key nor code nor number is printed, logged or sent further than needed'] = function ( Fake $fake ) {
	$api = new Api( 'https://maillon.example', KEY );
	never( 'secret', print_r( $api, true ) );
	$order = order();
	pay( gateway(), $order, 'WRON-GCOD' );
	pay( gateway(), $order );
	$fake->set( array( 'fault' => 'down' ) );
	$order->update_status( 'completed' );
	$kept = implode( ' ', $order->notes ) . implode( ' ', World::$log ) . serialize( $order );
	foreach ( array( KEY, CODE, 'WRON' ) as $secret ) {
		never( $secret, $kept );
	}
	foreach ( $fake->state()['asked'] as $asked ) {
		never( '192.0.2.7', json_encode( $asked ) );
		never( CODE, $asked['path'] . $asked['once'] );
	}
};

$tests['WooCommerce is told what the plugin can do'] = function () {
	do_action( 'before_woocommerce_init' );
	same( array( 'custom_order_tables' => true, 'cart_checkout_blocks' => true ), World::$declared );
	gateway();
	$registered = null;
	do_action( 'woocommerce_blocks_payment_method_type_registration', new class( $registered ) {
		public function __construct( private &$at ) {
		}
		public function register( $type ) {
			$this->at = $type;
		}
	} );
	same( true, $registered instanceof Blocks );
	$registered->initialize();
	same( true, $registered->is_active() );
	same( METHOD, $registered->get_name() );
	same( array( 'maillon-cod-blocks' ), $registered->get_payment_method_script_handles() );
	$data = $registered->get_payment_method_data();
	same( 'code', $data['flow'] );
	never( KEY, json_encode( $data ) );
};

$tests['a manager says why on the page of the order, and nothing of it is code'] = function () {
	$order = order();
	$_POST = array( 'maillon_reason' => 'a "b" <script>', 'maillon_evidence' => '</textarea>' );
	do_action( 'woocommerce_process_shop_order_meta', $order->get_id() );
	ob_start();
	Maillon\Cod\Orders::show( $order );
	$shown = ob_get_clean();
	says( 'a &quot;b&quot;', $shown );
	never( '<script>', $shown );
	same( 1, substr_count( $shown, '</textarea>' ) );
};

$tests['clients read French in a French shop, and every word is there'] = function ( Fake $fake ) {
	do_action( 'init' );
	World::$locale = 'fr_FR';
	says( 'Envoyez 2 fois SOUK par SMS au 2121. Un SMS coûte 10,00 MAD.', pay( gateway(), order(), 'AAAA-BBBB' ) );
	$french  = require dirname( __DIR__ ) . '/languages/maillon-cod-fr_FR.l10n.php';
	$english = array();
	foreach ( array_merge( glob( dirname( __DIR__ ) . '/*.php' ), glob( dirname( __DIR__ ) . '/includes/*.php' ) ) as $file ) {
		preg_match_all( "/(?:\b__|esc_html__)\( '((?:[^'\\\\]|\\\\.)+)', 'maillon-cod' \)/", file_get_contents( $file ), $found );
		array_push( $english, ...array_map( 'stripslashes', $found[1] ) );
		preg_match_all( "/_n\( '([^']+)', '([^']+)'/", file_get_contents( $file ), $found, PREG_SET_ORDER );
		foreach ( $found as $pair ) {
			$english[] = "{$pair[1]}\0{$pair[2]}";
		}
	}
	$english = array_unique( $english );
	same( array(), array_values( array_diff( $english, array_keys( $french['messages'] ) ) ), 'not in French' );
	same( array(), array_values( array_diff( array_keys( $french['messages'] ), $english ) ), 'no longer in English' );
	foreach ( $french['messages'] as $from => $to ) {
		preg_match_all( '/%\S*?[sd]/', $from, $wants );
		preg_match_all( '/%\S*?[sd]/', $to, $has );
		same( array(), array_diff( $wants[0], $has[0] ), "placeholders of \"$from\"" );
	}
};

play( $tests, function () use ( $fake ) {
	$fake->start();
	World::$maillon = array( 'url' => $fake->url, 'key' => KEY, 'policy' => 'pol_1' );
	return $fake;
} );
