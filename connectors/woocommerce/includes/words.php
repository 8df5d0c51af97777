<?php
namespace Maillon\Cod;

defined( 'ABSPATH' ) || exit;

/** What clients and shop managers read. French is in languages/. */
final class Words {
	/** Why an order is not let through, by the API's name of the reason. */
	public static function refusal( string $reason ): string {
		return match ( $reason ) {
			'authorization_not_found' => __( 'This code, account or telephone number is not known.', 'maillon-cod' ),
			'authorization_pending'   => __( 'Some SMS are still missing.', 'maillon-cod' ),
			'authorization_exhausted', 'order_limit_reached' => __( 'All the orders that you may pay on delivery were made.', 'maillon-cod' ),
			'authorization_expired'   => __( 'Your authorization is past its time.', 'maillon-cod' ),
			'authorization_revoked'   => __( 'The shop has withdrawn your authorization.', 'maillon-cod' ),
			'authorization_forfeited' => __( 'An earlier order was not honoured, so your authorization is lost.', 'maillon-cod' ),
			'authorization_closed'    => __( 'Your authorization is used up.', 'maillon-cod' ),
			'too_many_open_orders'    => __( 'Earlier orders are still on their way to you. Wait until they have arrived.', 'maillon-cod' ),
			'advance_required'        => __( 'Your advance is used up.', 'maillon-cod' ),
			'order_total_too_high'    => __( 'This order is above what can be paid on delivery.', 'maillon-cod' ),
			'currency_mismatch'       => __( 'Paying on delivery is not possible in this currency.', 'maillon-cod' ),
			'delivery_not_allowed'    => __( 'Paying on delivery is not possible with this way of delivery.', 'maillon-cod' ),
			'order_ref_conflict'      => __( 'This order was let through with another total. Make a new order.', 'maillon-cod' ),
			'phone'                   => __( 'This is not a telephone number.', 'maillon-cod' ),
			'too_many_attempts'       => __( 'Too many wrong codes. Wait a quarter of an hour, then try again.', 'maillon-cod' ),
			default                   => self::unavailable(),
		};
	}

	public static function unavailable(): string {
		return __( 'Paying on delivery is not possible. Choose another payment; nothing was ordered.', 'maillon-cod' );
	}

	public static function outage(): string {
		return __( 'Paying on delivery is not possible at the moment. Try again later, or choose another payment; nothing was ordered.', 'maillon-cod' );
	}

	public static function busy(): string {
		return __( 'Too much is asked at once. Try again in a moment; nothing was ordered.', 'maillon-cod' );
	}

	/** What a client gives so that the shop knows her. */
	public static function identify( string $flow ): string {
		return match ( $flow ) {
			'phone'    => __( 'To pay on delivery, give your telephone number in the address.', 'maillon-cod' ),
			'username' => __( 'To pay on delivery, sign in to your account.', 'maillon-cod' ),
			default    => __( 'To pay on delivery, enter the code that you received by SMS.', 'maillon-cod' ),
		};
	}

	/** What a client sends to be allowed; '' if there is nothing to send. */
	public static function instructions( ?array $what ): string {
		if ( null === $what || $what['messages'] < 1 ) {
			return '';
		}
		$to = $what['short_code'] ?? __( 'the number of the service', 'maillon-cod' );
		/* translators: 1: text of the SMS, 2: number, 3: how many times */
		$send = sprintf( _n( 'Send %1$s by SMS to %2$s.', 'Send %1$s by SMS to %2$s, %3$d times.', $what['messages'], 'maillon-cod' ), $what['text'], $to, $what['messages'] );
		if ( $what['price'] < 1 ) {
			return $send;
		}
		/* translators: %s: price of one SMS */
		return $send . ' ' . sprintf( __( 'One SMS costs %s.', 'maillon-cod' ), self::sum( $what['price'], $what['currency'] ) );
	}

	/** A sum as people write it. */
	public static function sum( int $minor, string $currency ): string {
		return number_format_i18n( $minor / 10 ** Gate::DECIMALS, Gate::DECIMALS ) . ' ' . $currency;
	}
}
