<?php
namespace Maillon\Cod;

defined( 'ABSPATH' ) || exit;

/** An order that may not be paid on delivery, with what its client reads. */
final class NotNow extends \Exception {
}

/** Asks maillon whether an order may be paid on delivery, takes its slot, and says how it ended. */
final class Gate {
	/** Sums are whole hundredths for maillon, as for the currencies that it is used with. */
	public const DECIMALS = 2;
	/** How long what the policy says is believed, in seconds. */
	private const POLICY_FOR = 60;
	/** How often one order may be let through anew, after its total changed or its slot was freed. */
	private const MAX_REFS = 5;

	private const LIVE = array( 'reserved', 'open' );

	public function __construct( private readonly Api $api, private readonly string $policy, private readonly string $on_outage ) {
	}

	/** The policy; from a moment ago, if it was read then. */
	public function policy(): array {
		$name  = 'maillon_cod_' . $this->policy;
		$known = get_transient( $name );
		if ( is_array( $known ) ) {
			return $known;
		}
		$policy = $this->api->get( '/v1/policies/' . $this->policy );
		set_transient( $name, $policy, self::POLICY_FOR );
		update_option( 'maillon_cod_on_outage', $policy['on_outage'], false );
		return $policy;
	}

	/** Whether orders pass while maillon cannot be reached: as the shop says, or as the policy said last. */
	public function open(): bool {
		return 'open' === ( 'policy' === $this->on_outage ? get_option( 'maillon_cod_on_outage', 'closed' ) : $this->on_outage );
	}

	/** Asks without taking anything. Returns the API's answer. */
	public function check( array $question ): array {
		return $this->api->post( '/v1/authorizations/check', array( 'policy' => $this->policy ) + $question );
	}

	/**
	 * Lets an order through and returns its claim: a new one, or the one that it has.
	 *
	 * @throws NotNow If it is not let through, with what the client reads.
	 * @throws Outage If maillon does not answer.
	 */
	public function take( array $question ): array {
		$first = $question['order_ref'];
		for ( $n = 1; $n <= self::MAX_REFS; $n++ ) {
			$ref  = 1 === $n ? $first : "$first.$n";
			$body = array( 'policy' => $this->policy, 'order_ref' => $ref ) + $question;
			try {
				$claim = $this->api->post( '/v1/claims', $body, self::once( "$ref.claim", $body ) );
				if ( in_array( $claim['status'], self::LIVE, true ) ) {
					return $claim;
				}
				if ( 'released' !== $claim['status'] ) {
					throw new NotNow( Words::refusal( 'order_ref_conflict' ) );
				}
			} catch ( Problem $problem ) {
				if ( 'order_ref_conflict' !== $problem->reason ) {
					throw $this->refusal( $problem, $body );
				}
				$this->free( $ref );
			}
		}
		throw new NotNow( Words::refusal( 'order_ref_conflict' ) );
	}

	/** Says what became of a claim: confirm, honour, release, not_honoured or withdraw. */
	public function end( string $claim, string $act, ?array $body ): array {
		return $this->api->post( "/v1/claims/$claim/$act", $body, self::once( "$claim.$act", $body ) );
	}

	/** The cart has another total than when its slot was taken: that slot is free again. */
	private function free( string $ref ): void {
		$page = $this->api->get( '/v1/claims?order_ref=' . rawurlencode( $ref ) );
		foreach ( $page['data'] as $claim ) {
			if ( 'reserved' === $claim['status'] ) {
				$this->end( $claim['id'], 'release', null );
			} elseif ( 'released' !== $claim['status'] ) {
				throw new NotNow( Words::refusal( 'order_ref_conflict' ) );
			}
		}
	}

	/** Turns what the API refuses into what the client reads. What the shop did wrong is for its log. */
	private function refusal( Problem $problem, array $question ): NotNow {
		if ( 'too_many_attempts' === $problem->reason || 'phone' === $problem->reason ) {
			return new NotNow( Words::refusal( $problem->reason ) );
		}
		if ( 429 === $problem->status || 'idempotency_key_running' === $problem->reason ) {
			return new NotNow( Words::busy() );
		}
		if ( 409 !== $problem->status ) {
			wc_get_logger()->error( $problem->getMessage() . ': look at the key and the policy of the payment method', array( 'source' => 'maillon-cod' ) );
			return new NotNow( Words::unavailable() );
		}
		return new NotNow( trim( Words::refusal( $problem->reason ) . ' ' . $this->todo( $question ) ) );
	}

	/** What the client can send to be let through, if anything helps. */
	private function todo( array $question ): string {
		try {
			$answer = $this->check( array_diff_key( $question, array( 'policy' => true ) ) );
			return Words::instructions( $this->bound( $answer, $question['username'] ?? null ) );
		} catch ( Problem | Outage ) {
			return ''; // the refusal itself is said
		}
	}

	/** The instructions of a check. A name is bound to the number that sends the text which its account shows. */
	public function bound( array $answer, ?string $username ): ?array {
		if ( null === $username || ! in_array( $answer['reason'], array( 'authorization_not_found', 'authorization_pending' ), true ) ) {
			return $answer['instructions'];
		}
		$body = array( 'policy' => $this->policy, 'username' => $username );
		return $this->api->post( '/v1/authorizations', $body, self::once( 'account.' . gmdate( 'Ymd' ), $body ) )['instructions'];
	}

	/** An Idempotency-Key: of the act and what is asked, and no other request. */
	private static function once( string $act, ?array $body ): string {
		return "woo.$act." . substr( hash( 'sha256', wp_json_encode( $body ) ), 0, 32 );
	}
}
