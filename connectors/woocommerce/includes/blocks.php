<?php
namespace Maillon\Cod;

use Automattic\WooCommerce\Blocks\Payments\Integrations\AbstractPaymentMethodType;

defined( 'ABSPATH' ) || exit;

/** The payment method in the block checkout. */
final class Blocks extends AbstractPaymentMethodType {
	protected $name = METHOD;

	private ?Gateway $gateway = null;

	public function initialize() {
		$this->gateway = WC()->payment_gateways()->payment_gateways()[ METHOD ] ?? null;
	}

	public function is_active() {
		return null !== $this->gateway && $this->gateway->is_available();
	}

	public function get_payment_method_script_handles() {
		wp_register_script( 'maillon-cod-blocks', plugins_url( 'assets/blocks.js', FILE ), array( 'wc-blocks-registry', 'wc-settings', 'wp-element' ), '1.0.0', true );
		return array( 'maillon-cod-blocks' );
	}

	/** What assets/blocks.js shows. */
	public function get_payment_method_data() {
		if ( null === $this->gateway ) {
			return array();
		}
		return $this->gateway->hint() + array(
			'title'       => $this->gateway->title,
			'description' => $this->gateway->description,
			'label'       => __( 'Code received by SMS', 'maillon-cod' ),
			'missing'     => Words::identify( 'code' ),
		);
	}
}
