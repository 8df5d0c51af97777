// The payment method in WooCommerce's block checkout: what to do, and a field
// for the code if the policy wants one. What is typed goes with the order, and
// is judged by the server alone.
( function ( wc, wp ) {
	'use strict';

	const el = wp.element.createElement;
	const data = wc.wcSettings.getSetting( 'maillon_cod_data', {} );

	function Label() {
		return el( 'span', null, data.title );
	}

	function Content( { eventRegistration, emitResponse } ) {
		const [ code, setCode ] = wp.element.useState( '' );
		wp.element.useEffect(
			() =>
				eventRegistration.onPaymentSetup( () => {
					if ( data.flow === 'code' && code.trim() === '' ) {
						return { type: emitResponse.responseTypes.ERROR, message: data.missing };
					}
					return {
						type: emitResponse.responseTypes.SUCCESS,
						meta: { paymentMethodData: { maillon_code: code } },
					};
				} ),
			[ code, eventRegistration.onPaymentSetup ]
		);
		return el(
			'div',
			null,
			data.description && el( 'p', null, data.description ),
			data.text && el( 'p', null, data.text ),
			data.flow === 'code' &&
				el(
					'p',
					null,
					el( 'label', { htmlFor: 'maillon-code' }, data.label ),
					el( 'input', {
						id: 'maillon-code',
						type: 'text',
						maxLength: 32,
						autoComplete: 'off',
						autoCapitalize: 'characters',
						spellCheck: false,
						value: code,
						onChange: ( event ) => setCode( event.target.value ),
					} )
				)
		);
	}

	wc.wcBlocksRegistry.registerPaymentMethod( {
		name: 'maillon_cod',
		label: el( Label ),
		content: el( Content ),
		edit: el( 'div', null, data.description ),
		canMakePayment: () => true,
		ariaLabel: data.title || 'maillon',
		supports: { features: [ 'products' ] },
	} );
} )( window.wc, window.wp );
