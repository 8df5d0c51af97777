<?php
// Plays a shop with a real maillon: php tests/real.php PROGRAM. It runs in a
// folder of its own, in test mode: SMS and time are the test's.

require __DIR__ . '/shop.php';

/** maillon, at work in an empty folder. */
final class Maillon {
	public string $url;
	public string $key;
	private string $folder;
	private $process;
	private int $asked = 0;

	public function __construct( private string $program ) {
		$this->folder = sys_get_temp_dir() . '/maillon-woo-' . bin2hex( random_bytes( 8 ) );
		mkdir( $this->folder, 0700 );
		$port    = stream_socket_server( 'tcp://127.0.0.1:0' );
		$address = stream_socket_get_name( $port, false );
		fclose( $port );
		$this->url     = "http://$address";
		$quiet         = array( 'file', '/dev/null', 'w' );
		$this->process = proc_open( array( $program, 'serve', '--listen', $address ), array( 1 => $quiet, 2 => $quiet ), $pipes, $this->folder );
		for ( $n = 0; $n < 200 && ! @file_get_contents( "$this->url/readyz" ); $n++ ) {
			usleep( 50000 );
		}
		$this->run( 'merchant', 'add', 'Souk', '--payee', 'yann' );
		$lines     = array_filter( explode( "\n", $this->run( 'merchant', 'key', 'Souk', '--test', '--name', 'shop' ) ), fn( $line ) => str_starts_with( $line, 'sk_' ) );
		$this->key = trim( (string) end( $lines ) );
	}

	private function run( string ...$arguments ): string {
		$process = proc_open( array( $this->program, ...$arguments ), array( 1 => array( 'pipe', 'w' ), 2 => array( 'file', '/dev/null', 'w' ) ), $pipes, $this->folder );
		$output  = stream_get_contents( $pipes[1] );
		if ( 0 !== proc_close( $process ) ) {
			throw new Failed( 'maillon ' . implode( ' ', $arguments ) );
		}
		return $output;
	}

	public function ask( string $method, string $path, ?array $body = null ): array {
		$response = wp_remote_request( $this->url . $path, array(
			'method' => $method, 'headers' => array( 'Authorization' => "Bearer $this->key", 'Content-Type' => 'application/json', 'Idempotency-Key' => 'test-' . ++$this->asked ),
			'body' => null === $body ? null : json_encode( $body ), 'timeout' => 10, 'redirection' => 0, 'limit_response_size' => 1 << 20,
		) );
		if ( is_wp_error( $response ) || $response['code'] > 299 ) {
			throw new Failed( "$method $path: " . json_encode( $response ) );
		}
		return json_decode( $response['body'], true );
	}

	/** A new offer, which the shop then asks for. */
	public function policy( array $offer ): array {
		static $n       = 0;
		$policy         = $this->ask( 'POST', '/v1/policies', $offer + array( 'keyword' => 'SOUK' . chr( 65 + $n++ ), 'short_code' => '2121', 'kind' => 'deposit', 'currency' => 'MAD', 'messages_required' => 2, 'price' => 1000, 'deposit' => 2000, 'max_orders' => 3 ) );
		World::$maillon = array( 'url' => $this->url, 'key' => $this->key, 'policy' => $policy['id'] );
		return $policy;
	}

	/** A client sends her SMS, which the operator bills; returns what she reads. */
	public function sms( string $from, string $text ): string {
		return (string) $this->ask( 'POST', '/v1/test/inbound_messages', array( 'from' => $from, 'text' => $text, 'charge' => array( 'currency' => 'MAD', 'gross' => 1000, 'net' => 417 ) ) )['reply'];
	}

	/** A client sends what the policy wants; returns her code. */
	public function code( string $from, array $policy ): string {
		for ( $n = 0; $n < $policy['messages_required']; $n++ ) {
			$reply = $this->sms( $from, $policy['keyword'] );
		}
		preg_match( '/[B-Z2-9]{4}-[B-Z2-9]{4}/', $reply, $found );
		return $found[0] ?? throw new Failed( "no code in \"$reply\"" );
	}

	/** The claims of the policy that the shop asks for, the oldest first. */
	public function claims(): array {
		$all = $this->ask( 'GET', '/v1/claims?limit=100' )['data'];
		return array_values( array_filter( $all, fn( $claim ) => $claim['policy'] === World::$maillon['policy'] ) );
	}

	public function states(): array {
		return array_column( $this->claims(), 'status' );
	}

	public function stop(): void {
		if ( null !== $this->process ) {
			proc_terminate( $this->process );
			proc_close( $this->process );
			$this->process = null;
			exec( 'rm -rf ' . escapeshellarg( $this->folder ) );
		}
	}
}

$maillon = new Maillon( realpath( $argv[1] ?? '' ) ?: throw new Failed( 'which maillon? php tests/real.php PROGRAM' ) );
register_shutdown_function( array( $maillon, 'stop' ) );

$tests = array();

$tests['a client sends two SMS, orders, and takes what she ordered'] = function ( Maillon $maillon ) {
	$policy = $maillon->policy( array() );
	$order  = order();
	says( 'enter the code', pay( gateway(), $order, '' ) );
	says( "Send {$policy['keyword']} by SMS to 2121, 2 times. One SMS costs 10.00 MAD.", pay( gateway(), $order, 'BBBB-BBBB' ) );
	$maillon->sms( '+212600000001', $policy['keyword'] );
	says( 'not known', pay( gateway(), $order, 'BBBB-BBBB' ) );
	preg_match( '/[B-Z2-9]{4}-[B-Z2-9]{4}/', $maillon->sms( '+212600000001', $policy['keyword'] ), $code );
	same( '', pay( gateway(), $order, strtolower( $code[0] ) ) );
	same( array( 'open' ), $maillon->states() );
	same( '', pay( gateway(), $order, $code[0] ) ); // once more for the same order
	same( array( 'open' ), $maillon->states() );
	$order->update_status( 'completed' );
	same( array( 'honoured' ), $maillon->states() );
	$order->update_status( 'cancelled' );
	says( 'is "honoured" already', end( $order->notes ) );
	same( array( 'honoured' ), $maillon->states() );
};

$tests['two orders want the last slot, and one has it'] = function ( Maillon $maillon ) {
	$code = $maillon->code( '+212600000002', $maillon->policy( array( 'max_orders' => 1 ) ) );
	same( '', pay( gateway(), order(), $code ) );
	says( 'All the orders', pay( gateway(), order(), $code ) );
	same( array( 'open' ), $maillon->states() );
};

$tests['who does not take her order loses the deposit when the window ends, and the code is dead'] = function ( Maillon $maillon ) {
	$code  = $maillon->code( '+212600000003', $maillon->policy( array() ) );
	$order = order();
	same( '', pay( gateway(), $order, $code ) );
	$order->update_status( 'not-honoured' );
	same( array( 'processing', array( 'open' ) ), array( $order->get_status(), $maillon->states() ) );
	$_POST = array( 'maillon_reason' => 'nobody at home', 'maillon_evidence' => 'courier 8812: two attempts' );
	do_action( 'woocommerce_process_shop_order_meta', $order->get_id() );
	$order->update_status( 'not-honoured' );
	same( array( 'not_honoured' ), $maillon->states() );
	$maillon->ask( 'POST', '/v1/test/clock', array( 'advance' => 259260 ) );
	same( array( 'forfeited' ), $maillon->states() );
	says( 'An earlier order was not honoured', pay( gateway(), order(), $code ) );
};

$tests['the advance is deducted, and the next order needs another SMS'] = function ( Maillon $maillon ) {
	$policy = $maillon->policy( array( 'kind' => 'advance', 'flow' => 'phone', 'deposit' => 0, 'advance_per_order' => 1000, 'messages_required' => 1, 'max_orders' => 5 ) );
	$phone  = '+212600000004';
	says( "Send {$policy['keyword']} by SMS to 2121.", pay( gateway(), order( phone: $phone ), null ) );
	$maillon->sms( $phone, $policy['keyword'] );
	$order = order( phone: $phone );
	same( '', pay( gateway(), $order, null ) );
	same( '179.00', $order->get_total() );
	same( array( 18900, 17900 ), array( $maillon->claims()[0]['order_total'], $maillon->claims()[0]['cash_due'] ) );
	says( 'Your advance is used up. Send', pay( gateway(), order( phone: $phone ), null ) );
	$order->update_status( 'cancelled' );
	same( array( 'released' ), $maillon->states() );
	same( '', pay( gateway(), order( phone: $phone ), null ) ); // the advance came back
};

$tests['her account shows what binds it to her telephone'] = function ( Maillon $maillon ) {
	$policy      = $maillon->policy( array( 'flow' => 'username', 'messages_required' => 1, 'deposit' => 1000 ) );
	World::$user = 7;
	$hint        = gateway()->hint()['text'];
	same( 1, preg_match( "/Send ({$policy['keyword']} u7 \d+) by SMS/", $hint, $text ), $hint );
	says( $text[1], pay( gateway(), order( customer: 7 ), null ) );
	$maillon->sms( '+212600000005', $text[1] );
	same( '', pay( gateway(), order( customer: 7 ), null ) );
	World::$user = 8;
	says( 'by SMS to 2121', pay( gateway(), order( customer: 8 ), null ) );
};

$tests['a cart that changed is let through anew, and withdrawing costs her nothing'] = function ( Maillon $maillon ) {
	$code  = $maillon->code( '+212600000006', $maillon->policy( array( 'max_orders' => 1 ) ) );
	$order = order( '99.00' );
	$maillon->ask( 'POST', '/v1/claims', array( 'code' => $code, 'policy' => World::$maillon['policy'], 'order_ref' => Maillon\Cod\Orders::ref( $order ), 'order_total' => 5000, 'currency' => 'MAD', 'delivery' => 'home' ) );
	same( '', pay( gateway(), $order, $code ) );
	same( array( 'released', 'open' ), $maillon->states() );
	$order->update_status( 'withdrawn' );
	same( array( 'released', 'withdrawn' ), $maillon->states() );
};

$tests['when it is gone, the shop does as it says'] = function ( Maillon $maillon ) {
	$code = $maillon->code( '+212600000007', $maillon->policy( array() ) );
	$open = order();
	same( '', pay( gateway(), $open, $code ) );
	$maillon->stop();
	says( 'not possible at the moment', pay( gateway(), order(), $code ) );
	same( '', pay( gateway( array( 'on_outage' => 'open' ) ), order(), $code ) );
	$open->update_status( 'completed' );
	says( 'told again later', end( $open->notes ) );
	same( 1, count( World::$events ), 'events' );
};

$round = 0;
play( $tests, function () use ( $maillon, &$round ) {
	World::$next = 1000 * ++$round; // no order is another's
	return $maillon;
} );
