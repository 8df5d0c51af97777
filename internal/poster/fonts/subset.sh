#!/bin/sh
# Makes the fonts of posters from those of Noto (Debian: fonts-noto-core), with
# fontTools (Debian: python3-fonttools): the letters of French, English and
# their neighbours, of Arabic and of Tifinagh, without what screens need.
set -eu
cd "$(dirname "$0")"

noto=${1:-/usr/share/fonts/truetype/noto}
latin='U+0020-007E,U+00A0-017F,U+0186,U+018E,U+0190,U+0192,U+0194,U+0196,U+019D,U+01B2,U+0218-021B,U+0254,U+025B,U+0259,U+0263,U+0269,U+0272,U+028B,U+02B7,U+1E0C-1E0D,U+1E24-1E25,U+1E5A-1E5B,U+1E62-1E63,U+1E6C-1E6D,U+1E92-1E93,U+0300-0304,U+0306-0308,U+030A-030C,U+0323,U+0327-0328,U+0331,U+2009,U+2010-2015,U+2018-201E,U+2020-2022,U+2026,U+202F,U+2032-2033,U+2039-203A,U+20AC,U+2116,U+2122,U+2192,U+2212'
arabic='U+0020-0022,U+0025,U+0028-003A,U+003E,U+00A0,U+00AB,U+00BB,U+060C,U+0615,U+061B-061F,U+0620-0656,U+0660-066D,U+0670,U+0671,U+0679,U+067E,U+0686,U+0688,U+0691,U+0698,U+06A4,U+06A9,U+06AD,U+06AF,U+06BA,U+06BE,U+06C1,U+06CC,U+06D2,U+06D4,U+06F0-06F9,U+0763,U+200C-200F'
tifinagh='U+0020,U+00A0,U+2D30-2D67,U+2D6F,U+2D70,U+2D7F,U+0302,U+0304,U+0307,U+0309,U+200D'

subset() { # from, to, letters, features
	python3 -m fontTools.subset "$noto/$1" --output-file="$2" --unicodes="$3" --layout-features="$4" \
		--no-hinting --desubroutinize --notdef-outline --name-IDs=0,1,2,3,5,6,13,14 --drop-tables+=DSIG,gasp,STAT
}
for weight in Regular Bold; do
	subset NotoSans-$weight.ttf latin-$weight.ttf "$latin" ccmp,locl,mark,mkmk,kern
	subset NotoSansArabic-$weight.ttf arabic-$weight.ttf "$arabic" ccmp,locl,init,medi,fina,isol,rlig,calt,liga,mark,mkmk,kern,curs
done
subset NotoSansTifinagh-Regular.ttf tifinagh-Regular.ttf "$tifinagh" '*'
