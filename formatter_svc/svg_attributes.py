"""The names that a row's key must not have: React, SVG or Recharts would take them for their own.

Recharts copies the keys of a row that look like attributes onto the element that it draws for the
row: `mask` or `filter` with a `url(…)` makes the client fetch from elsewhere, `style` or `payload`
crashes it. The lists are data: the first is Recharts 3's own (`SVGElementPropKeys` of
`util/svgPropertiesNoEvents`), held against its source by a test of the app. Pure.
"""

from __future__ import annotations

import re
from typing import Final

# What Recharts 3 takes for an attribute, but for `aria-…`.
RECHARTS_SVG: Final = frozenset(
    """
accentHeight accumulate additive alignmentBaseline allowReorder alphabetic amplitude angle
arabicForm ascent attributeName attributeType autoReverse azimuth baseFrequency baselineShift
baseProfile bbox begin bias by calcMode capHeight className clip clipPath clipPathUnits clipRule
color colorInterpolation colorInterpolationFilters colorProfile colorRendering contentScriptType
contentStyleType cursor cx cy d decelerate descent diffuseConstant direction display divisor
dominantBaseline dur dx dy edgeMode elevation enableBackground end exponent
externalResourcesRequired fill fillOpacity fillRule filter filterRes filterUnits floodColor
floodOpacity focusable fontFamily fontSize fontSizeAdjust fontStretch fontStyle fontVariant
fontWeight format from fx fy g1 g2 glyphName glyphOrientationHorizontal glyphOrientationVertical
glyphRef gradientTransform gradientUnits hanging height horizAdvX horizOriginX href id ideographic
imageRendering in in2 intercept k k1 k2 k3 k4 kernelMatrix kernelUnitLength kerning key keyPoints
keySplines keyTimes lang lengthAdjust letterSpacing lightingColor limitingConeAngle local
markerEnd markerHeight markerMid markerStart markerUnits markerWidth mask maskContentUnits
maskUnits mathematical max media method min mode name numOctaves offset opacity operator order
orient orientation origin overflow overlinePosition overlineThickness paintOrder panose1
pathLength patternContentUnits patternTransform patternUnits pointerEvents pointsAtX pointsAtY
pointsAtZ preserveAlpha preserveAspectRatio primitiveUnits r radius ref refX refY renderingIntent
repeatCount repeatDur requiredExtensions requiredFeatures restart result role rotate rx ry seed
shapeRendering slope spacing specularConstant specularExponent speed spreadMethod startOffset
stdDeviation stemh stemv stitchTiles stopColor stopOpacity strikethroughPosition
strikethroughThickness string stroke strokeDasharray strokeDashoffset strokeLinecap strokeLinejoin
strokeMiterlimit strokeOpacity strokeWidth style surfaceScale systemLanguage tabIndex tableValues
target targetX targetY textAnchor textDecoration textLength textRendering to transform u1 u2
underlinePosition underlineThickness unicode unicodeBidi unicodeRange unitsPerEm vAlphabetic
values vectorEffect version vertAdvY vertOriginX vertOriginY vHanging vIdeographic viewTarget
visibility vMathematical width widths wordSpacing writingMode x x1 x2 xChannelSelector xHeight
xlinkActuate xlinkArcrole xlinkHref xlinkRole xlinkShow xlinkTitle xlinkType xmlBase xmlLang xmlns
xmlnsXlink xmlSpace y y1 y2 yChannelSelector z zoomAndPan
""".split()  # noqa: SIM905 - 250 names in quotes are no easier to read
)

# What React DOM 19 takes for an attribute besides.
REACT_DOM: Final = frozenset(
    """
about accept acceptCharset accessKey action allowFullScreen alt as async autoCapitalize
autoComplete autoCorrect autoFocus autoPlay autoSave capture cellPadding cellSpacing challenge
charSet checked children cite classID cols colSpan content contentEditable contextMenu controls
controlsList coords credentialless crossOrigin dangerouslySetInnerHTML data datatype dateTime
default defaultChecked defaultValue defer dir disabled disablePictureInPicture
disableRemotePlayback download draggable encType enterKeyHint fetchPriority form formAction
formEncType formMethod formNoValidate formTarget frameBorder headers hidden high hrefLang htmlFor
httpEquiv icon imageSizes imageSrcSet inert inlist innerHTML inputMode integrity is itemID
itemProp itemRef itemScope itemType keyParams keyType kind label list loop low manifest
marginHeight marginWidth maskType maxLength mediaGroup minLength multiple muted noModule nonce
noValidate open optimum pattern placeholder playsInline points popover popoverTarget
popoverTargetAction poster prefix preload profile property radioGroup readOnly referrerPolicy rel
required resource results reversed rows rowSpan sandbox scale scope scoped scrolling seamless
security selected shape size sizes span spellCheck src srcDoc srcLang srcSet start step summary
suppressContentEditableWarning suppressHydrationWarning title transformOrigin type typeof
unselectable useMap value viewBox vocab wmode wrap
""".split()  # noqa: SIM905 - 250 names in quotes are no easier to read
)

# What Recharts 3 reads from a row, or puts beside its keys, on the way to the element.
RECHARTS_ROW: Final = frozenset(
    """
activeBar activeDot activeIndex activeShape animationBegin animationDuration animationEasing
animationElapsedTime animationId background barSize baseLine baseLinePoints baseValue cells
clockWise coordinate cornerIsExternal cornerRadius dataKey endAngle entry forceCornerRadius
formatter hide index innerRadius isActive isAnimating isAnimationActive isEntrance isExternal
isRange isUpdateAnimationActive labelLine layout legendType lowerWidth maxRadius midAngle
middleRadius minPointSize nameKey onAnimationEnd onAnimationStart option originalDataIndex
outerRadius paddingAngle parentViewBox payload percent position props shapeType stackedBarStart
startAngle tooltipPayload tooltipPosition tooltipType unit upperWidth visibleLength zIndex
""".split()  # noqa: SIM905 - 250 names in quotes are no easier to read
)

# Properties of style that SVG takes as attributes, and that neither list has.
STYLE: Final = frozenset(
    {"colorScheme", "isolation", "marker", "mixBlendMode", "shapeMargin", "transformBox"}
)

_NAMES: Final = RECHARTS_SVG | REACT_DOM | RECHARTS_ROW | STYLE
_HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
# Written in HTML's way, too: `classname`, `stroke-width`, `xlink:href`.
RESERVED: Final = frozenset(
    form
    for name in _NAMES
    for form in (
        name,
        name.lower(),
        _HUMP.sub(r"-\1", name).lower(),
        re.sub(r"^(xlink|xml|xmlns)(?=[A-Z])", r"\1:", name).lower(),
    )
) | {"class", "for", "panose-1"}

# Families of names: a React event is `onClick`, HTML's is `onclick`.
_FAMILIES: Final = re.compile(
    r"(?:aria|data)-.*|on[A-Z].*"
    r"|on(?:abort|animation|aux|before|blur|cancel|can|change|click|close|composition|context|copy"
    r"|cue|cut|dbl|double|drag|drop|duration|emptied|encrypted|ended|error|focus|form|got|hash"
    r"|input|invalid|key|load|lost|message|mouse|page|paste|pause|play|pointer|pop|progress|rate"
    r"|reset|resize|scroll|secur|seek|select|slot|stalled|storage|submit|suspend|time|toggle|touch"
    r"|transition|unload|volume|wheel)[a-z]*",
    re.DOTALL,
)


def is_reserved(key: str) -> bool:
    """Whether a row must not have this key."""
    return key in RESERVED or bool(_FAMILIES.fullmatch(key))
