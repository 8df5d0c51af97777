<?php
namespace Maillon\Cod;

defined( 'ABSPATH' ) || exit;

/** What maillon refuses. `$reason` is its stable name, see the API; `$state` where the claim is. */
final class Problem extends \RuntimeException {
	public function __construct( public readonly int $status, public readonly string $reason, public readonly string $state = '' ) {
		parent::__construct( "maillon: $status $reason" );
	}
}

/** No answer, or one that says that the service is not there. */
final class Outage extends \RuntimeException {
}

/** Asks maillon, over HTTP. Errors name no address, key, number or code. */
final class Api {
	/** How much is read of an answer, in octets. */
	private const MAX_ANSWER = 262144;
	/** How long an answer is waited for, in seconds. */
	private const TIMEOUT = 5;
	/** How often something is asked before it counts as unreachable, and how long between, in microseconds. */
	private const ATTEMPTS = 2;
	private const PAUSE    = 200000;

	public function __construct( private readonly string $url, #[\SensitiveParameter] private readonly string $key ) {
	}

	/** Whether an address and a key can be used: the key goes over TLS, or does not leave the machine. */
	public static function usable( string $url, #[\SensitiveParameter] string $key ): bool {
		$scheme = parse_url( $url, PHP_URL_SCHEME );
		$here   = in_array( parse_url( $url, PHP_URL_HOST ), array( 'localhost', '127.0.0.1', '[::1]' ), true );
		return ( 'https' === $scheme || ( 'http' === $scheme && $here ) ) && 1 === preg_match( '/^sk_[!-~]+$/', $key );
	}

	public function get( string $path ): array {
		return $this->ask( 'GET', $path, null, null );
	}

	/** What changes something is named by `$once`, and so is done once however often it is asked. */
	public function post( string $path, ?array $body, ?string $once = null ): array {
		return $this->ask( 'POST', $path, $body, $once );
	}

	/** Whoever prints this does not print the key. */
	public function __debugInfo(): array {
		return array( 'url' => $this->url );
	}

	private function ask( string $method, string $path, ?array $body, ?string $once ): array {
		for ( $attempt = 1; ; $attempt++ ) {
			try {
				return $this->send( $method, $path, $body, $once );
			} catch ( Outage $outage ) {
				if ( self::ATTEMPTS === $attempt ) {
					throw $outage;
				}
			}
			usleep( self::PAUSE );
		}
	}

	private function send( string $method, string $path, ?array $body, ?string $once ): array {
		$headers = array( 'Authorization' => 'Bearer ' . $this->key, 'Accept' => 'application/json' );
		if ( null !== $body ) {
			$headers['Content-Type'] = 'application/json';
		}
		if ( null !== $once ) {
			$headers['Idempotency-Key'] = $once;
		}
		$response = wp_remote_request( rtrim( $this->url, '/' ) . $path, array(
			'method'              => $method,
			'headers'             => $headers,
			'body'                => null === $body ? null : wp_json_encode( $body ),
			'timeout'             => self::TIMEOUT,
			'redirection'         => 0, // the key goes nowhere else
			'limit_response_size' => self::MAX_ANSWER,
		) );
		if ( is_wp_error( $response ) ) {
			throw new Outage( 'maillon cannot be reached' );
		}
		$status = (int) wp_remote_retrieve_response_code( $response );
		$answer = json_decode( wp_remote_retrieve_body( $response ), true );
		if ( $status >= 500 || ! is_array( $answer ) ) {
			throw new Outage( "maillon cannot be reached: status $status" );
		}
		if ( $status < 200 || $status > 299 ) {
			throw new Problem( $status, (string) ( $answer['code'] ?? '' ), (string) ( $answer['state'] ?? '' ) );
		}
		return $answer;
	}
}
