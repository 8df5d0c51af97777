<?php
/**
 * Plugin Name:          Cash on delivery that holds (maillon)
 * Description:          Lets a client order and pay on delivery only after a small SMS payment, which is lost if the order is not honoured. Asks a maillon server.
 * Version:              1.0.0
 * Requires at least:    6.5
 * Requires PHP:         8.1
 * Requires Plugins:     woocommerce
 * WC requires at least: 8.9
 * License:              GPL-2.0-or-later
 * License URI:          https://www.gnu.org/licenses/old-licenses/gpl-2.0.html
 * Text Domain:          maillon-cod
 * Domain Path:          /languages
 */

namespace Maillon\Cod;

defined( 'ABSPATH' ) || exit;

const FILE = __FILE__;

/** The payment method's name in WooCommerce. */
const METHOD = 'maillon_cod';

require_once __DIR__ . '/includes/api.php';
require_once __DIR__ . '/includes/words.php';
require_once __DIR__ . '/includes/gate.php';
require_once __DIR__ . '/includes/orders.php';

// Orders are read and written by WooCommerce's own functions, wherever it keeps
// them, and the block checkout has this method too.
add_action( 'before_woocommerce_init', function () {
	if ( class_exists( '\Automattic\WooCommerce\Utilities\FeaturesUtil' ) ) {
		\Automattic\WooCommerce\Utilities\FeaturesUtil::declare_compatibility( 'custom_order_tables', FILE, true );
		\Automattic\WooCommerce\Utilities\FeaturesUtil::declare_compatibility( 'cart_checkout_blocks', FILE, true );
	}
} );

add_action( 'init', fn() => load_plugin_textdomain( 'maillon-cod', false, basename( __DIR__ ) . '/languages' ) );

add_filter( 'woocommerce_payment_gateways', function ( $gateways ) {
	require_once __DIR__ . '/includes/gateway.php';
	$gateways[] = Gateway::class;
	return $gateways;
} );

add_action( 'woocommerce_blocks_payment_method_type_registration', function ( $registry ) {
	require_once __DIR__ . '/includes/blocks.php';
	$registry->register( new Blocks() );
} );

Orders::listen();
