<?php
namespace Maillon\Cod;

defined( 'ABSPATH' ) || exit;

/** The payment method, with its settings and its field for the code. */
final class Gateway extends \WC_Payment_Gateway {
	/** How long a code may be, as it is typed. */
	private const MAX_CODE = 32;

	public function __construct() {
		$this->id                 = METHOD;
		$this->has_fields         = true;
		$this->method_title       = __( 'Cash on delivery, secured by SMS (maillon)', 'maillon-cod' );
		$this->method_description = __( 'Only clients who have sent the SMS of your policy can order and pay on delivery.', 'maillon-cod' );
		$this->init_form_fields();
		$this->init_settings();
		$this->title       = $this->get_option( 'title' );
		$this->description = $this->get_option( 'description' );
		add_action( 'woocommerce_update_options_payment_gateways_' . $this->id, array( $this, 'process_admin_options' ) );
	}

	public function init_form_fields() {
		$this->form_fields = array(
			'enabled'     => array( 'title' => __( 'Enabled', 'maillon-cod' ), 'type' => 'checkbox', 'default' => 'no' ),
			'title'       => array( 'title' => __( 'Title', 'maillon-cod' ), 'type' => 'text', 'default' => __( 'Cash on delivery', 'maillon-cod' ) ),
			'description' => array( 'title' => __( 'Description', 'maillon-cod' ), 'type' => 'textarea', 'default' => '' ),
			'url'         => array(
				'title'       => __( 'Address of maillon', 'maillon-cod' ),
				'type'        => 'text',
				'placeholder' => 'https://maillon.example',
			),
			'key'         => array(
				'title'       => __( 'Secret key', 'maillon-cod' ),
				'type'        => 'password',
				'description' => __( 'Begins with sk_. Better: define MAILLON_COD_KEY in wp-config.php, and leave this empty.', 'maillon-cod' ),
			),
			'policy'      => array( 'title' => __( 'Policy', 'maillon-cod' ), 'type' => 'text', 'placeholder' => 'pol_3' ),
			'on_outage'   => array(
				'title'   => __( 'While maillon cannot be reached', 'maillon-cod' ),
				'type'    => 'select',
				'default' => 'policy',
				'options' => array(
					'policy' => __( 'as the policy says', 'maillon-cod' ),
					'closed' => __( 'nobody pays on delivery', 'maillon-cod' ),
					'open'   => __( 'everybody may pay on delivery', 'maillon-cod' ),
				),
			),
			'pickups'     => array(
				'title'       => __( 'Pickup points', 'maillon-cod' ),
				'type'        => 'textarea',
				'description' => __( 'One a line, the way of delivery and the point of the policy: local_pickup:3 = Fes', 'maillon-cod' ),
			),
		);
	}

	/** Refuses settings with which no order could be let through, and says what to write. */
	public function validate_url_field( $key, $value ) {
		$value = trim( (string) $value );
		if ( '' !== $value && ! Api::usable( $value, 'sk_x' ) ) {
			\WC_Admin_Settings::add_error( __( 'The address of maillon begins with https:// (http:// only on this machine). It was not changed.', 'maillon-cod' ) );
			return $this->get_option( $key );
		}
		return $value;
	}

	public function validate_key_field( $key, #[\SensitiveParameter] $value ) {
		$value = trim( (string) $value );
		if ( '' !== $value && ! Api::usable( 'https://x', $value ) ) {
			\WC_Admin_Settings::add_error( __( 'The key is not a secret key, which begins with sk_. It was not changed.', 'maillon-cod' ) );
			return $this->get_option( $key );
		}
		return $value;
	}

	public function validate_policy_field( $key, $value ) {
		$value = trim( (string) $value );
		if ( '' !== $value && 1 !== preg_match( '/^pol_[1-9][0-9]*$/', $value ) ) {
			\WC_Admin_Settings::add_error( __( 'The policy is named by its ID, such as pol_3. It was not changed.', 'maillon-cod' ) );
			return $this->get_option( $key );
		}
		return $value;
	}

	/** The gate as the settings say, or null while they say too little. */
	public function gate(): ?Gate {
		$url    = (string) $this->get_option( 'url' );
		$key    = defined( 'MAILLON_COD_KEY' ) ? (string) constant( 'MAILLON_COD_KEY' ) : (string) $this->get_option( 'key' );
		$policy = (string) $this->get_option( 'policy' );
		if ( '' === $policy || ! Api::usable( $url, $key ) ) {
			return null;
		}
		return new Gate( new Api( $url, $key ), $policy, (string) $this->get_option( 'on_outage', 'policy' ) );
	}

	public function is_available() {
		return parent::is_available() && null !== $this->gate();
	}

	/** What the client reads beneath the method, and whether she gives a code. */
	public function hint(): array {
		$gate = $this->gate();
		if ( null === $gate ) {
			return array( 'flow' => '', 'text' => '' );
		}
		try {
			$policy = $gate->policy();
			return array( 'flow' => $policy['flow'], 'text' => trim( Words::identify( $policy['flow'] ) . ' ' . $this->instructions( $gate, $policy ) ) );
		} catch ( Problem | Outage ) {
			// A code is taken all the same: when it is sent, maillon may answer again.
			return array( 'flow' => 'code', 'text' => $gate->open() ? '' : Words::outage() );
		}
	}

	/** What this client has to send: all of it, or what is missing if the shop knows her. */
	private function instructions( Gate $gate, array $policy ): string {
		$fresh = array( 'text' => $policy['keyword'], 'messages' => $policy['messages_required'] ) + $policy;
		$user  = get_current_user_id();
		if ( 'username' !== $policy['flow'] || 0 === $user ) {
			return 'username' === $policy['flow'] ? '' : Words::instructions( $fresh );
		}
		$answer = $gate->check( array( 'username' => self::username( $user ), 'order_ref' => "account-$user", 'order_total' => 1, 'currency' => $policy['currency'] ) );
		return Words::instructions( $gate->bound( $answer, self::username( $user ) ) );
	}

	public function payment_fields() {
		parent::payment_fields();
		$hint = $this->hint();
		if ( '' !== $hint['text'] ) {
			echo '<p>' . esc_html( $hint['text'] ) . '</p>';
		}
		if ( 'code' === $hint['flow'] ) {
			printf(
				'<p class="form-row form-row-wide"><label for="maillon-code">%s</label><input id="maillon-code" name="maillon_code" class="input-text" type="text" maxlength="%d" autocomplete="off" autocapitalize="characters" spellcheck="false"></p>',
				esc_html__( 'Code received by SMS', 'maillon-cod' ),
				self::MAX_CODE
			);
		}
	}

	/**
	 * Takes the order's slot. What is thrown is read by the client: the classic
	 * checkout shows it, the Store API answers 400 with it.
	 *
	 * @throws \Exception If the order is not let through.
	 */
	public function process_payment( $order_id ) {
		$order = wc_get_order( $order_id );
		$gate  = $this->gate();
		if ( ! $order || null === $gate ) {
			throw new \Exception( Words::unavailable() );
		}
		try {
			$claim = $gate->take( $this->question( $gate, $order ) );
			Orders::let_through( $order, $claim );
		} catch ( NotNow $not_now ) {
			throw new \Exception( $not_now->getMessage() );
		} catch ( Problem $problem ) {
			wc_get_logger()->error( $problem->getMessage() . ': look at the key and the policy of the payment method', array( 'source' => 'maillon-cod' ) );
			throw new \Exception( Words::unavailable() );
		} catch ( Outage $outage ) {
			wc_get_logger()->warning( $outage->getMessage(), array( 'source' => 'maillon-cod' ) );
			if ( ! $gate->open() ) {
				throw new \Exception( Words::outage() );
			}
			Orders::let_through_unseen( $order );
		}
		if ( WC()->cart ) {
			WC()->cart->empty_cart();
		}
		return array( 'result' => 'success', 'redirect' => $this->get_return_url( $order ) );
	}

	/** Who asks for what, as the API wants it. */
	private function question( Gate $gate, \WC_Order $order ): array {
		return $this->who( $gate->policy()['flow'], $order ) + $this->delivery( $order ) + array(
			'order_ref'   => Orders::ref( $order ),
			'order_total' => Orders::gross( $order ),
			'currency'    => $order->get_currency(),
			'shopper'     => $this->shopper(),
		);
	}

	/** How the shop knows the client, as the flow of the policy says. */
	private function who( string $flow, \WC_Order $order ): array {
		switch ( $flow ) {
			case 'phone':
				$who = array( 'phone' => trim( $order->get_billing_phone() ) );
				break;
			case 'username':
				// Only who has signed in: a name alone could be anybody's.
				$user = $order->get_customer_id();
				$who  = array( 'username' => $user > 0 && get_current_user_id() === $user ? self::username( $user ) : '' );
				break;
			default:
				// The Store API puts what the block checkout sends here too. WooCommerce has checked the nonce.
				$code = isset( $_POST['maillon_code'] ) ? sanitize_text_field( wp_unslash( $_POST['maillon_code'] ) ) : ''; // phpcs:ignore WordPress.Security.NonceVerification
				$who  = array( 'code' => substr( $code, 0, self::MAX_CODE ) );
		}
		if ( '' === current( $who ) ) {
			throw new NotNow( Words::identify( $flow ) );
		}
		return $who;
	}

	private static function username( int $user ): string {
		return "u$user";
	}

	/** How it is delivered: to the door, or to a point. */
	private function delivery( \WC_Order $order ): array {
		foreach ( $order->get_items( 'shipping' ) as $line ) {
			$way = $line->get_method_id() . ':' . $line->get_instance_id();
			foreach ( explode( "\n", (string) $this->get_option( 'pickups' ) ) as $pickup ) {
				list( $name, $point ) = array_map( 'trim', explode( '=', $pickup, 2 ) + array( 1 => '' ) );
				if ( $name === $way && '' !== $point ) {
					return array( 'delivery' => 'pickup', 'pickup_point' => $point );
				}
			}
			if ( in_array( $line->get_method_id(), array( 'local_pickup', 'pickup_location' ), true ) ) {
				return array( 'delivery' => 'pickup' );
			}
		}
		return array( 'delivery' => 'home' );
	}

	/** Who guesses codes, as a hash: neither session nor address leaves the shop. */
	private function shopper(): string {
		$session = WC()->session ? (string) WC()->session->get_customer_id() : '';
		return substr( hash_hmac( 'sha256', $session . '|' . \WC_Geolocation::get_ip_address(), wp_salt() ), 0, 32 );
	}
}
