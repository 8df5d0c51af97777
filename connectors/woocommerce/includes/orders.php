<?php
namespace Maillon\Cod;

defined( 'ABSPATH' ) || exit;

/**
 * What becomes of orders that are paid on delivery, and how maillon hears of it.
 * An act that maillon does not hear is kept with the order, and said again later.
 */
final class Orders {
	private const CLAIM    = '_maillon_claim';
	private const ADVANCE  = '_maillon_advance';
	private const TODO     = '_maillon_todo'; // acts that maillon has not heard, in their order
	private const TRIES    = '_maillon_tries';
	private const REASON   = '_maillon_reason';
	private const EVIDENCE = '_maillon_evidence';
	private const RETRY    = 'maillon_cod_retry';

	/** When an act is said again, in seconds; after the last one, no more. */
	private const DELAYS = array( 60, 300, 900, 3600, 14400, 43200, 86400 );
	/** How many pieces of evidence are sent, and how long a text may be. */
	private const MAX_EVIDENCE = 10;
	private const MAX_PIECE    = 200;

	/** The two ends that WooCommerce has no status for. */
	private const NOT_HONOURED = 'not-honoured';
	private const WITHDRAWN    = 'withdrawn';

	public static function listen(): void {
		add_filter( 'woocommerce_register_shop_order_post_statuses', array( self::class, 'register' ) );
		add_filter( 'wc_order_statuses', fn( $all ) => $all + self::statuses() );
		add_action( 'woocommerce_order_status_changed', array( self::class, 'changed' ), 10, 4 );
		add_action( self::RETRY, array( self::class, 'retry' ) );
		add_action( 'add_meta_boxes', array( self::class, 'box' ) );
		// Before WooCommerce takes the new status, at 40.
		add_action( 'woocommerce_process_shop_order_meta', array( self::class, 'save' ), 10 );
	}

	private static function statuses(): array {
		return array(
			'wc-' . self::NOT_HONOURED => __( 'Not honoured', 'maillon-cod' ),
			'wc-' . self::WITHDRAWN    => __( 'Withdrawn by the client', 'maillon-cod' ),
		);
	}

	public static function register( array $all ): array {
		foreach ( self::statuses() as $name => $label ) {
			$all[ $name ] = array(
				'label'                     => $label,
				'public'                    => false,
				'exclude_from_search'       => false,
				'show_in_admin_all_list'    => true,
				'show_in_admin_status_list' => true,
				'label_count'               => array( 0 => "$label (%s)", 1 => "$label (%s)", 'singular' => "$label (%s)", 'plural' => "$label (%s)", 'context' => null, 'domain' => null ),
			);
		}
		return $all;
	}

	/** The shop's name for an order: a merchant may have several shops, whose numbers are the same. */
	public static function ref( \WC_Order $order ): string {
		return 'woo-' . substr( hash( 'sha256', home_url() ), 0, 6 ) . '-' . $order->get_id();
	}

	/** What the order comes to before its advance is deducted, in hundredths. */
	public static function gross( \WC_Order $order ): int {
		return self::minor( $order->get_total( 'edit' ) ) + (int) $order->get_meta( self::ADVANCE );
	}

	/** A decimal as whole hundredths, without floating point. */
	private static function minor( $decimal ): int {
		return (int) str_replace( '.', '', wc_format_decimal( $decimal, Gate::DECIMALS ) );
	}

	/** The order has its claim: what was paid by SMS is deducted, and the rest is for the courier. */
	public static function let_through( \WC_Order $order, array $claim ): void {
		$order->update_meta_data( self::CLAIM, $claim['id'] );
		self::deduct( $order, (int) $claim['advance_amount'] );
		/* translators: 1: ID of the claim, 2: sum */
		$note = sprintf( __( 'maillon let this order through (%1$s). To be paid on delivery: %2$s.', 'maillon-cod' ), $claim['id'], Words::sum( (int) $claim['cash_due'], $claim['currency'] ) );
		$order->update_status( 'processing', $note );
		self::say( $order, 'confirm' );
	}

	/** maillon did not answer, and the shop lets orders pass then. */
	public static function let_through_unseen( \WC_Order $order ): void {
		$order->update_status( 'processing', __( 'Let through without authorization: maillon did not answer, and the payment method is open then. No deposit and no advance stands behind this order.', 'maillon-cod' ) );
	}

	private static function deduct( \WC_Order $order, int $advance ): void {
		if ( (int) $order->get_meta( self::ADVANCE ) === $advance ) {
			return;
		}
		foreach ( $order->get_items( 'fee' ) as $id => $fee ) {
			if ( $fee->get_meta( self::ADVANCE ) ) {
				$order->remove_item( $id );
			}
		}
		if ( $advance > 0 ) {
			$fee = new \WC_Order_Item_Fee();
			$fee->set_name( __( 'Advance paid by SMS', 'maillon-cod' ) );
			$fee->set_tax_status( 'none' );
			$fee->set_total( '-' . intdiv( $advance, 10 ** Gate::DECIMALS ) . '.' . str_pad( (string) ( $advance % 10 ** Gate::DECIMALS ), Gate::DECIMALS, '0', STR_PAD_LEFT ) );
			$fee->add_meta_data( self::ADVANCE, '1', true );
			$order->add_item( $fee );
		}
		$order->update_meta_data( self::ADVANCE, (string) $advance );
		$order->calculate_totals( false );
		$order->save();
	}

	/** What a new status means for maillon. */
	public static function changed( $order_id, string $from, string $to, \WC_Order $order ): void {
		if ( METHOD !== $order->get_payment_method() || '' === $order->get_meta( self::CLAIM ) ) {
			return;
		}
		if ( self::NOT_HONOURED === $to && ( '' === self::reason( $order ) || array() === self::evidence( $order ) ) ) {
			$order->update_status( $from, __( 'An order that was not honoured needs a reason and at least one piece of evidence: fill them in, save, then change the status again. Nothing has changed.', 'maillon-cod' ) );
			return;
		}
		$act = match ( $to ) {
			'completed'           => 'honour',
			self::NOT_HONOURED    => 'not_honoured',
			self::WITHDRAWN       => 'withdraw',
			'cancelled', 'failed' => 'release',
			'refunded'            => 'completed' === $from ? '' : 'release', // what was honoured stays so
			default               => '',
		};
		if ( '' !== $act ) {
			self::say( $order, $act );
		}
	}

	/** Says an act, after those that maillon has not heard yet. */
	private static function say( \WC_Order $order, string $act ): void {
		$todo   = self::todo( $order );
		$todo[] = $act;
		$order->update_meta_data( self::TODO, implode( ' ', array_unique( $todo ) ) );
		$order->update_meta_data( self::TRIES, '0' );
		self::work( $order );
	}

	private static function todo( \WC_Order $order ): array {
		return array_filter( explode( ' ', (string) $order->get_meta( self::TODO ) ) );
	}

	/** Later, what maillon did not hear. */
	public static function retry( $order_id ): void {
		$order = wc_get_order( $order_id );
		if ( $order ) {
			self::work( $order );
		}
	}

	private static function work( \WC_Order $order ): void {
		$gate = self::gate();
		foreach ( self::todo( $order ) as $act ) {
			try {
				if ( null === $gate ) {
					throw new Outage( 'the payment method is not set up' );
				}
				$claim = $gate->end( (string) $order->get_meta( self::CLAIM ), $act, self::body( $order, $act ) );
				/* translators: %s: state of the claim */
				$order->add_order_note( sprintf( __( 'For maillon this order is now "%s".', 'maillon-cod' ), $claim['status'] ) );
			} catch ( Problem $problem ) {
				if ( 429 === $problem->status || 'idempotency_key_running' === $problem->reason ) {
					self::later( $order );
					return;
				}
				$order->add_order_note( self::refused( $problem, $act ) );
			} catch ( Outage $outage ) {
				wc_get_logger()->warning( $outage->getMessage(), array( 'source' => 'maillon-cod' ) );
				self::later( $order );
				return;
			}
			$order->update_meta_data( self::TODO, implode( ' ', array_diff( self::todo( $order ), array( $act ) ) ) );
		}
		$order->save();
	}

	private static function refused( Problem $problem, string $act ): string {
		if ( 'confirm' === $act ) {
			/* translators: %s: state or reason */
			return sprintf( __( 'maillon could not confirm this order (%s): no deposit and no advance stands behind it.', 'maillon-cod' ), $problem->state ? $problem->state : $problem->reason );
		}
		if ( '' !== $problem->state ) {
			/* translators: %s: state of the claim */
			return sprintf( __( 'For maillon this order is "%s" already; nothing has changed there.', 'maillon-cod' ), $problem->state );
		}
		/* translators: %s: reason */
		return sprintf( __( 'maillon refuses (%s); nothing has changed there.', 'maillon-cod' ), $problem->reason );
	}

	private static function later( \WC_Order $order ): void {
		$tries = (int) $order->get_meta( self::TRIES );
		if ( $tries < count( self::DELAYS ) ) {
			wp_schedule_single_event( time() + self::DELAYS[ $tries ], self::RETRY, array( $order->get_id() ) );
			if ( 0 === $tries ) {
				$order->add_order_note( __( 'maillon does not answer. It is told again later.', 'maillon-cod' ) );
			}
		} else {
			$order->add_order_note( __( 'maillon has not answered for two days, and was not told. Change the status away and back to try again.', 'maillon-cod' ) );
		}
		$order->update_meta_data( self::TRIES, (string) ( $tries + 1 ) );
		$order->save();
	}

	private static function gate(): ?Gate {
		$gateways = WC()->payment_gateways()->payment_gateways();
		return isset( $gateways[ METHOD ] ) ? $gateways[ METHOD ]->gate() : null;
	}

	private static function body( \WC_Order $order, string $act ): ?array {
		return 'not_honoured' === $act ? array( 'reason' => self::reason( $order ), 'evidence' => self::evidence( $order ) ) : null;
	}

	private static function reason( \WC_Order $order ): string {
		return self::piece( (string) $order->get_meta( self::REASON ) );
	}

	private static function evidence( \WC_Order $order ): array {
		$lines = array_map( array( self::class, 'piece' ), explode( "\n", (string) $order->get_meta( self::EVIDENCE ) ) );
		return array_slice( array_values( array_filter( $lines, fn( $line ) => '' !== $line ) ), 0, self::MAX_EVIDENCE );
	}

	private static function piece( string $text ): string {
		return preg_match( '/^.{1,' . self::MAX_PIECE . '}/u', trim( $text ), $found ) ? $found[0] : '';
	}

	/** Where a shop manager says why an order was not honoured. */
	public static function box(): void {
		$screen = function_exists( 'wc_get_page_screen_id' ) ? wc_get_page_screen_id( 'shop-order' ) : 'shop_order';
		add_meta_box( 'maillon-cod', __( 'Not honoured: why', 'maillon-cod' ), array( self::class, 'show' ), $screen, 'side' );
	}

	public static function show( $post_or_order ): void {
		$order = $post_or_order instanceof \WC_Order ? $post_or_order : wc_get_order( $post_or_order->ID );
		if ( ! $order || METHOD !== $order->get_payment_method() ) {
			echo '<p>' . esc_html__( 'This order is not paid on delivery through maillon.', 'maillon-cod' ) . '</p>';
			return;
		}
		printf(
			'<p>%s</p><p><label for="maillon-reason">%s</label><input id="maillon-reason" name="maillon_reason" class="widefat" maxlength="200" value="%s"></p><p><label for="maillon-evidence">%s</label><textarea id="maillon-evidence" name="maillon_evidence" class="widefat" rows="4">%s</textarea></p>',
			esc_html__( 'Fill this in before you set the status "Not honoured". The client reads it, and can dispute it. Name nobody.', 'maillon-cod' ),
			esc_html__( 'Reason', 'maillon-cod' ),
			esc_attr( (string) $order->get_meta( self::REASON ) ),
			esc_html__( 'Evidence, one a line: the courier\'s reference and what it says', 'maillon-cod' ),
			esc_textarea( (string) $order->get_meta( self::EVIDENCE ) )
		);
	}

	/** WooCommerce has checked the nonce and the right to edit orders. */
	public static function save( $order_id ): void {
		$order = wc_get_order( $order_id );
		if ( ! $order || ! isset( $_POST['maillon_reason'], $_POST['maillon_evidence'] ) ) { // phpcs:ignore WordPress.Security.NonceVerification
			return;
		}
		$order->update_meta_data( self::REASON, sanitize_text_field( wp_unslash( $_POST['maillon_reason'] ) ) ); // phpcs:ignore WordPress.Security.NonceVerification
		$order->update_meta_data( self::EVIDENCE, sanitize_textarea_field( wp_unslash( $_POST['maillon_evidence'] ) ) ); // phpcs:ignore WordPress.Security.NonceVerification
		$order->save();
	}
}
