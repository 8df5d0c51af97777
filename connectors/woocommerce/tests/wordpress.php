<?php
// As much of WordPress and WooCommerce as the plugin uses, in memory. Where it
// matters, it does what they do: hooks run in their order, a new status tells
// those who listen, totals are sums of lines.

namespace {
	define( 'ABSPATH', __DIR__ . '/' );

	/** What a test looks at, and starts anew. */
	final class World {
		public static array $maillon    = array(); // where it is, and as whom it is asked
		public static array $hooks      = array();
		public static array $options    = array();
		public static array $transients = array();
		public static array $orders     = array();
		public static array $events     = array();
		public static array $log        = array();
		public static array $errors     = array();
		public static array $declared   = array();
		public static array $scripts    = array();
		public static array $domains    = array();
		public static string $locale    = 'en_US';
		public static int $next         = 1041; // order
		public static int $user         = 0;
		public static int $emptied      = 0;

		public static function fresh(): void {
			foreach ( array( 'options', 'transients', 'orders', 'events', 'log', 'errors', 'scripts' ) as $what ) {
				self::$$what = array();
			}
			self::$locale  = 'en_US';
			self::$next    = 1041;
			self::$user    = 0;
			self::$emptied = 0;
			$_POST         = array();
			WC()->forget();
		}
	}

	function add_filter( $name, $call, $priority = 10, $arguments = 1 ) {
		World::$hooks[ $name ][ $priority ][] = array( $call, $arguments );
	}
	function add_action( $name, $call, $priority = 10, $arguments = 1 ) {
		add_filter( $name, $call, $priority, $arguments );
	}
	function apply_filters( $name, $value, ...$more ) {
		$at = World::$hooks[ $name ] ?? array();
		ksort( $at );
		foreach ( array_merge( ...$at ) as list( $call, $arguments ) ) {
			$value = $call( ...array_slice( array( $value, ...$more ), 0, $arguments ) );
		}
		return $value;
	}
	function do_action( $name, ...$arguments ) {
		$at = World::$hooks[ $name ] ?? array();
		ksort( $at );
		foreach ( array_merge( ...$at ) as list( $call, $taken ) ) {
			$call( ...array_slice( $arguments, 0, $taken ) );
		}
	}

	// Texts: WordPress 6.5 reads translations from PHP files.
	function load_plugin_textdomain( $domain, $unused, $folder ) {
		World::$domains[ $domain ] = dirname( __DIR__ ) . '/languages/';
	}
	function translation( $text, $domain ) {
		static $read = array();
		$file        = ( World::$domains[ $domain ] ?? '' ) . $domain . '-' . World::$locale . '.l10n.php';
		if ( ! isset( $read[ $file ] ) ) {
			$read[ $file ] = is_file( $file ) ? require $file : array( 'messages' => array() );
		}
		return $read[ $file ]['messages'][ $text ] ?? null;
	}
	function __( $text, $domain ) {
		return translation( $text, $domain ) ?? $text;
	}
	function _n( $one, $many, $n, $domain ) {
		$both = translation( "$one\0$many", $domain );
		return null === $both ? ( 1 === $n ? $one : $many ) : explode( "\0", $both )[ $n > 1 ? 1 : 0 ];
	}
	function esc_html__( $text, $domain ) {
		return esc_html( __( $text, $domain ) );
	}
	function esc_html( $text ) {
		return htmlspecialchars( $text, ENT_QUOTES );
	}
	function esc_attr( $text ) {
		return esc_html( $text );
	}
	function esc_textarea( $text ) {
		return esc_html( $text );
	}
	function number_format_i18n( $number, $decimals ) {
		return 'fr_FR' === World::$locale ? number_format( $number, $decimals, ',', "\u{202F}" ) : number_format( $number, $decimals );
	}
	function sanitize_text_field( $text ) {
		return trim( preg_replace( '/[\r\n\t ]+/', ' ', strip_tags( $text ) ) );
	}
	function sanitize_textarea_field( $text ) {
		return trim( strip_tags( $text ) );
	}
	function wp_unslash( $text ) {
		return stripslashes( $text );
	}
	function wp_json_encode( $value ) {
		return json_encode( $value );
	}
	function home_url() {
		return 'https://shop.example';
	}
	function wp_salt() {
		return 'salt';
	}

	function get_option( $name, $default = false ) {
		return World::$options[ $name ] ?? $default;
	}
	function update_option( $name, $value ) {
		World::$options[ $name ] = $value;
	}
	function get_transient( $name ) {
		return World::$transients[ $name ] ?? false;
	}
	function set_transient( $name, $value ) {
		World::$transients[ $name ] = $value;
	}
	function get_current_user_id() {
		return World::$user;
	}
	function wp_schedule_single_event( $when, $hook, $arguments ) {
		World::$events[] = array( $when - time(), $hook, $arguments );
	}
	function add_meta_box() {
	}
	function wp_register_script( $handle, $src, $needs ) {
		World::$scripts[ $handle ] = array( $src, $needs );
	}
	function plugins_url( $path ) {
		return "https://shop.example/wp-content/plugins/maillon-cod/$path";
	}

	final class WP_Error {
	}
	function is_wp_error( $thing ) {
		return $thing instanceof WP_Error;
	}
	function wp_remote_request( $url, $how ) {
		$lines = array();
		foreach ( $how['headers'] as $name => $value ) {
			$lines[] = "$name: $value";
		}
		$context = stream_context_create( array( 'http' => array(
			'method' => $how['method'], 'header' => $lines, 'content' => $how['body'] ?? '', 'timeout' => $how['timeout'],
			'follow_location' => $how['redirection'], 'max_redirects' => 1, 'ignore_errors' => true, 'protocol_version' => 1.1,
		) ) );
		$body = @file_get_contents( $url, false, $context, 0, $how['limit_response_size'] );
		if ( false === $body || '' === $body ) {
			return new WP_Error();
		}
		return array( 'code' => (int) explode( ' ', $http_response_header[0] )[1], 'body' => $body );
	}
	function wp_remote_retrieve_response_code( $response ) {
		return $response['code'];
	}
	function wp_remote_retrieve_body( $response ) {
		return $response['body'];
	}

	// WooCommerce.
	class WC_Payment_Gateway {
		public $id, $has_fields, $method_title, $method_description, $title, $description, $form_fields = array(), $settings = array();
		public function init_settings() {
			$this->settings = get_option( "woocommerce_{$this->id}_settings", array() );
		}
		public function get_option( $name, $empty = null ) {
			return $this->settings[ $name ] ?? $this->form_fields[ $name ]['default'] ?? $empty ?? '';
		}
		public function is_available() {
			return 'yes' === $this->get_option( 'enabled' );
		}
		public function payment_fields() {
			echo esc_html( $this->description );
		}
		public function get_return_url( $order ) {
			return 'https://shop.example/thanks/' . $order->get_id();
		}
		/** As WooCommerce saves a page of settings. */
		public function save( array $given ) {
			foreach ( $given as $name => $value ) {
				$method = "validate_{$name}_field";
				$this->settings[ $name ] = method_exists( $this, $method ) ? $this->$method( $name, $value ) : $value;
			}
			update_option( "woocommerce_{$this->id}_settings", $this->settings );
		}
	}
	final class WC_Admin_Settings {
		public static function add_error( $text ) {
			World::$errors[] = $text;
		}
	}
	final class WC_Geolocation {
		public static function get_ip_address() {
			return '192.0.2.7';
		}
	}
	class WC_Order_Item {
		private array $meta = array();
		public function __construct( protected array $data = array() ) {
		}
		public function get_meta( $name ) {
			return $this->meta[ $name ] ?? '';
		}
		public function add_meta_data( $name, $value ) {
			$this->meta[ $name ] = $value;
		}
		public function get_method_id() {
			return $this->data['method'];
		}
		public function get_instance_id() {
			return $this->data['instance'];
		}
		public function get_total() {
			return $this->data['total'] ?? '0';
		}
		public function get_name() {
			return $this->data['name'] ?? '';
		}
	}
	final class WC_Order_Item_Fee extends WC_Order_Item {
		public string $tax = 'taxable';
		public function set_name( $name ) {
			$this->data['name'] = $name;
		}
		public function set_total( $total ) {
			$this->data['total'] = $total;
		}
		public function set_tax_status( $status ) {
			$this->tax = $status;
		}
	}
	final class WC_Order {
		public array $notes = array();
		private array $meta = array();
		private array $items;
		private string $status = 'pending';
		private string $total;
		public function __construct( private int $id, private string $goods, public string $method, public int $customer, private string $phone, array $shipping ) {
			$this->items = array( 'shipping' => array( new WC_Order_Item( $shipping ) ), 'fee' => array() );
			$this->total = $goods;
		}
		public function get_id() {
			return $this->id;
		}
		public function get_total() {
			return $this->total;
		}
		public function get_currency() {
			return 'MAD';
		}
		public function get_billing_phone() {
			return $this->phone;
		}
		public function get_customer_id() {
			return $this->customer;
		}
		public function get_payment_method() {
			return $this->method;
		}
		public function get_status() {
			return $this->status;
		}
		public function get_items( $type ) {
			return $this->items[ $type ];
		}
		public function add_item( $item ) {
			$this->items['fee'][] = $item;
		}
		public function remove_item( $id ) {
			unset( $this->items['fee'][ $id ] );
		}
		/** The cart changed before the order was paid. */
		public function change( string $goods ) {
			$this->goods = $goods;
			$this->calculate_totals();
		}
		public function calculate_totals() {
			$sum = (int) str_replace( '.', '', $this->goods );
			foreach ( $this->items['fee'] as $fee ) {
				$sum += (int) str_replace( '.', '', $fee->get_total() );
			}
			$this->total = intdiv( $sum, 100 ) . '.' . str_pad( (string) ( $sum % 100 ), 2, '0', STR_PAD_LEFT );
		}
		public function get_meta( $name ) {
			return $this->meta[ $name ] ?? '';
		}
		public function update_meta_data( $name, $value ) {
			$this->meta[ $name ] = $value;
		}
		public function add_order_note( $note ) {
			$this->notes[] = $note;
		}
		public function save() {
		}
		public function update_status( $to, $note = '' ) {
			$from         = $this->status;
			$this->status = $to;
			if ( '' !== $note ) {
				$this->notes[] = $note;
			}
			if ( $from !== $to ) {
				do_action( 'woocommerce_order_status_changed', $this->id, $from, $to, $this );
			}
		}
	}
	function wc_get_order( $id ) {
		return World::$orders[ $id ] ?? false;
	}
	function wc_format_decimal( $number, $decimals ) {
		list( $whole, $rest ) = explode( '.', (string) $number ) + array( 1 => '' );
		return $whole . '.' . substr( str_pad( $rest, $decimals, '0' ), 0, $decimals );
	}
	function wc_get_page_screen_id( $what ) {
		return "woocommerce_page_$what";
	}
	function wc_get_logger() {
		return new class() {
			public function __call( $level, $arguments ) {
				World::$log[] = "$level {$arguments[0]}";
			}
		};
	}
	final class WooCommerce {
		public object $cart;
		public object $session;
		private ?WC_Payment_Gateways $gateways = null;
		public function __construct() {
			$this->cart    = new class() {
				public function empty_cart() {
					++World::$emptied;
				}
			};
			$this->session = new class() {
				public function get_customer_id() {
					return 't_1a2b';
				}
			};
		}
		public function payment_gateways() {
			return $this->gateways ??= new WC_Payment_Gateways();
		}
		public function forget() {
			$this->gateways = null;
		}
	}
	final class WC_Payment_Gateways {
		private array $all = array();
		public function __construct() {
			foreach ( apply_filters( 'woocommerce_payment_gateways', array() ) as $class ) {
				$gateway                   = new $class();
				$this->all[ $gateway->id ] = $gateway;
			}
		}
		public function payment_gateways() {
			return $this->all;
		}
	}
	function WC() {
		static $shop;
		return $shop ??= new WooCommerce();
	}
}

namespace Automattic\WooCommerce\Utilities {
	final class FeaturesUtil {
		public static function declare_compatibility( $feature, $file, $yes ) {
			\World::$declared[ $feature ] = $yes;
		}
	}
}

namespace Automattic\WooCommerce\Blocks\Payments\Integrations {
	abstract class AbstractPaymentMethodType {
		protected $name = '';
		public function get_name() {
			return $this->name;
		}
	}
}
